"""What a plugin's object must have, read off the port itself."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, Final

from bot.plugins.ports import ExtraGuard, Notifier
from bot.surfaces.port import Surface
from core.model.lane import LaneCheck
from core.ports import Executor, Followed, Forge

PORTS: Final[dict[str, type]] = {
    "executors": Executor,
    "surfaces": Surface,
    "forges": Forge,
    "guards": ExtraGuard,
    "notifiers": Notifier,
}
_NAMED: Final = ("executors", "surfaces")
_OPTIONAL: Final = frozenset({"deterministic"})
"""What plugins of earlier versions do not have; whoever uses it knows what its absence means."""
_ABSENT: Final = object()


def lacks(kind: str, name: str, made: object) -> list[str]:
    """What is wrong with what a factory of this kind returned, in a few words each; nothing when it will do."""
    if kind == "checks":
        return list(_no_check(made))
    found = _missing(PORTS[kind], made)
    if not found and kind in _NAMED and getattr(made, "name", None) != name:
        found.append(f"a `name` that is {name!r}")
    return found


def is_followed(forge: object) -> bool:
    """Whether a forge is one where others act too."""
    return not _missing(Followed, forge)


def _missing(port: type, made: object) -> list[str]:
    return [words for name in _members(port) if (words := _flaw(getattr(port, name, None), name, made))]


def _members(port: type) -> list[str]:
    """The public names of a Protocol, in its order."""
    names = dict.fromkeys([*vars(port), *inspect.get_annotations(port)])
    return [name for name in names if not name.startswith("_") and name not in _OPTIONAL]


def _flaw(wanted: Any, name: str, made: object) -> str:
    try:
        given = getattr(made, name, _ABSENT)
    except Exception as error:  # noqa: BLE001 - a property of somebody else's may raise anything
        return f"`{name}`, which raises {type(error).__name__}"
    if given is _ABSENT:
        return f"`{name}`"
    if not inspect.isfunction(wanted):
        return ""
    if not callable(given):
        return f"`{name}` as a method"
    if inspect.iscoroutinefunction(wanted) and not inspect.iscoroutinefunction(given):
        return f"`{name}` as an async method"
    return ""


def _no_check(made: object) -> Iterator[str]:
    if not isinstance(made, LaneCheck):
        yield "the type core.model.lane.LaneCheck"
        return
    name: Any = made.name
    if not isinstance(name, str) or not name:
        yield "a `name`"
    words: Any = made.command
    if not isinstance(words, tuple) or not words or not all(isinstance(word, str) and word for word in words):
        yield "a `command` that is a tuple of words"
