"""An Ollama with GPU memory that schedules by Ollama's own rules; ``python -m tests.shims.ollama`` starts one."""

from tests.shims.ollama.scheduler import Hardware, OllamaScheduler, ShimModel
from tests.shims.ollama.server import GpuShim, Mode

__all__ = ["GpuShim", "Hardware", "Mode", "OllamaScheduler", "ShimModel"]
