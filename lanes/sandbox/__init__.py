"""Sandboxes that run a lane's commands: host programs are readable, one folder is writable, there is no network."""

from lanes.sandbox.find_bwrap import find_bwrap
from lanes.sandbox.find_sandbox import Sandboxes
from lanes.sandbox.interface import (
    OverlaySupport,
    PortForward,
    Sandbox,
    SandboxLimits,
    SandboxResult,
    SandboxRun,
    sandbox_capability,
)

__all__ = [
    "OverlaySupport",
    "PortForward",
    "Sandbox",
    "SandboxLimits",
    "SandboxResult",
    "SandboxRun",
    "Sandboxes",
    "find_bwrap",
    "sandbox_capability",
]
