"""The sandboxes of a host by kind; each kind is probed once, when a lane first asks for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Final

from core.model.errors import Kind, Problem
from lanes.sandbox.interface import Sandbox

SandboxFinder = Callable[[], Sandbox | Problem]


class Sandboxes:
    """Probes sandboxes on demand and remembers the result, so a worker's capabilities do not change while it runs."""

    def __init__(self, finders: Mapping[str, SandboxFinder] | None = None) -> None:
        self._finders = dict(FINDERS if finders is None else finders)
        self._results: dict[str, Sandbox | Problem] = {}
        self._lock = threading.Lock()

    def kinds(self) -> tuple[str, ...]:
        """The kinds that a lane's `isolation` may name."""
        return tuple(self._finders)

    def get(self, kind: str) -> Sandbox | Problem:
        """The sandbox of this kind, or why there is none; the first call for a kind probes it, which may take 1 s."""
        with self._lock:
            if kind not in self._results:
                finder = self._finders.get(kind)
                self._results[kind] = _unknown(kind, self._finders) if finder is None else finder()
            return self._results[kind]


def _unknown(kind: str, finders: Mapping[str, SandboxFinder]) -> Problem:
    mend = f"Set the lane's isolation to one of {', '.join(finders)}."
    return Problem(Kind.UNAVAILABLE, "no_sandbox", f"There is no sandbox of the kind {kind!r}", mend)


def _bwrap() -> Sandbox | Problem:
    from lanes.sandbox.find_bwrap import find_bwrap  # noqa: PLC0415 - a worker imports only the kinds it uses

    return find_bwrap()


def _engine(kind: str) -> Sandbox | Problem:
    from lanes.sandbox.find_container_engine import find_container_engine  # noqa: PLC0415 - the same

    return find_container_engine(kind)


def _landlock() -> Sandbox | Problem:
    from lanes.sandbox.landlock_sandbox import find_landlock  # noqa: PLC0415 - the same

    return find_landlock()


FINDERS: Final[Mapping[str, SandboxFinder]] = {
    "bwrap": _bwrap,
    "podman": lambda: _engine("podman"),
    "docker": lambda: _engine("docker"),
    "landlock": _landlock,
}
