"""The sandboxes of a host by kind, each looked for once, when a lane first asks for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Final

from core.model.errors import Kind, Problem
from lanes.sandbox.result import Sandbox

Find = Callable[[], Sandbox | Problem]


class Sandboxes:
    """Gives the sandbox of a kind; what was found stays, so that what a worker offers does not change under it."""

    def __init__(self, ways: Mapping[str, Find] | None = None) -> None:
        self._ways = dict(WAYS if ways is None else ways)
        self._found: dict[str, Sandbox | Problem] = {}
        self._lock = threading.Lock()

    def kinds(self) -> tuple[str, ...]:
        """The kinds that a lane may name."""
        return tuple(self._ways)

    def of(self, kind: str) -> Sandbox | Problem:
        """The sandbox of this kind, or why there is none; the first call for a kind starts it, which takes a while."""
        with self._lock:
            if kind not in self._found:
                way = self._ways.get(kind)
                self._found[kind] = _unknown(kind, self._ways) if way is None else way()
            return self._found[kind]


def _unknown(kind: str, ways: Mapping[str, Find]) -> Problem:
    mend = f"A lane's isolation is one of {', '.join(ways)}."
    return Problem(Kind.UNAVAILABLE, "no_sandbox", f"There is no sandbox of the kind {kind!r}", mend)


def _bwrap() -> Sandbox | Problem:
    from lanes.sandbox.find import find_sandbox  # noqa: PLC0415 - a worker pays for the kinds it uses

    return find_sandbox()


def _engine(kind: str) -> Sandbox | Problem:
    from lanes.sandbox.engines import find_engine  # noqa: PLC0415 - the same

    return find_engine(kind)


def _landlock() -> Sandbox | Problem:
    from lanes.sandbox.landlocked import find_landlock  # noqa: PLC0415 - the same

    return find_landlock()


WAYS: Final[Mapping[str, Find]] = {
    "bwrap": _bwrap,
    "podman": lambda: _engine("podman"),
    "docker": lambda: _engine("docker"),
    "landlock": _landlock,
}
