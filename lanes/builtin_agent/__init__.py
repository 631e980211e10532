"""The executor `ollama`: a model reads and edits files through a few tools, in a loop, without a checkout."""

from lanes.builtin_agent.executor import BuiltinAgentExecutor

__all__ = ["BuiltinAgentExecutor"]
