"""Where commands of lanes run: nothing of the host but its programs, no network, one writable folder."""

from lanes.sandbox.find import find_sandbox
from lanes.sandbox.ran import Confines, Door, Layers, Ran, Run, Sandbox, need_of
from lanes.sandbox.sandboxes import Sandboxes

__all__ = ["Confines", "Door", "Layers", "Ran", "Run", "Sandbox", "Sandboxes", "find_sandbox", "need_of"]
