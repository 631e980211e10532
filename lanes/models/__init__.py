"""Models: their endpoints, how one is asked, and what happens when one does not answer."""

from lanes.models.chat import Ask, Message, Model, Reply, Tool, ToolCall
from lanes.models.endpoint import Endpoint, ModelName

__all__ = ["Ask", "Endpoint", "Message", "Model", "ModelName", "Reply", "Tool", "ToolCall"]
