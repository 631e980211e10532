"""Chat models: the configured endpoints, the requests they answer, and the fallback when one fails."""

from lanes.models.chat import ChatMessage, ChatModel, ChatReply, ChatRequest, ToolCall, ToolSpec
from lanes.models.endpoint import Endpoint, ModelName

__all__ = ["ChatMessage", "ChatModel", "ChatReply", "ChatRequest", "Endpoint", "ModelName", "ToolCall", "ToolSpec"]
