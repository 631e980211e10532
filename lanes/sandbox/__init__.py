"""Where commands of lanes run: nothing of the host but its programs, no network, one writable folder."""

from lanes.sandbox.find import find_sandbox
from lanes.sandbox.ran import Confines, Ran, Sandbox

__all__ = ["Confines", "Ran", "Sandbox", "find_sandbox"]
