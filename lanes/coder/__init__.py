"""The `ollama` executor: a model that reads and edits through a few tools, in a loop, without a checkout."""

from lanes.coder.executor import CoderExecutor

__all__ = ["CoderExecutor"]
