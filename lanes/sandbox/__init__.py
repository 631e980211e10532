"""Where commands of lanes run: nothing of the host but its programs, no network, one writable folder."""

from lanes.sandbox.find import find_sandbox
from lanes.sandbox.result import LayeredFiles, PortForward, Sandbox, SandboxLimits, SandboxResult, SandboxRun, need_of
from lanes.sandbox.sandboxes import Sandboxes

__all__ = [
    "LayeredFiles",
    "PortForward",
    "Sandbox",
    "SandboxLimits",
    "SandboxResult",
    "SandboxRun",
    "Sandboxes",
    "find_sandbox",
    "need_of",
]
