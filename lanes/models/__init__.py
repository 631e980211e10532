"""Models: their endpoints, how one is asked, and what happens when one does not answer."""

from lanes.models.chat import ChatMessage, ChatModel, ChatReply, ChatRequest, ToolCall, ToolSpec
from lanes.models.endpoint import Endpoint, ModelName

__all__ = ["ChatMessage", "ChatModel", "ChatReply", "ChatRequest", "Endpoint", "ModelName", "ToolCall", "ToolSpec"]
