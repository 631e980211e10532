"""The `ollama` executor: a model that reads and edits through a few tools, in a loop, without a checkout."""

from lanes.builtin_agent.executor import BuiltinAgentExecutor

__all__ = ["BuiltinAgentExecutor"]
