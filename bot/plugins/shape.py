"""Checks that a plugin's object has what its port declares."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, Final

from bot.plugins.ports import ExtraGuard, Notifier
from bot.surfaces.port import Surface
from core.model.lane import LaneCheck
from core.ports.executor import Executor
from core.ports.forge import FollowedForge, Forge

PORTS: Final[dict[str, type]] = {
    "executors": Executor,
    "surfaces": Surface,
    "forges": Forge,
    "guards": ExtraGuard,
    "notifiers": Notifier,
}
_NAMED: Final = ("executors", "surfaces")
_OPTIONAL: Final = frozenset({"deterministic"})
"""Members that plugins for earlier versions lack; each use has a default."""
_ABSENT: Final = object()


def lacks(kind: str, name: str, instance: object) -> list[str]:
    """What the object that a factory of this kind returned lacks, in a few words each; empty when it is complete."""
    if kind == "checks":
        return list(_check_problems(instance))
    missing = _missing(PORTS[kind], instance)
    if not missing and kind in _NAMED and getattr(instance, "name", None) != name:
        missing.append(f"a `name` that is {name!r}")
    return missing


def is_followed(forge: object) -> bool:
    """Whether a forge's pull requests are followed, because people also act there directly."""
    return not _missing(FollowedForge, forge)


def _missing(port: type, instance: object) -> list[str]:
    return [problem for name in _members(port) if (problem := _problem_with(getattr(port, name, None), name, instance))]


def _members(port: type) -> list[str]:
    """The public names of a Protocol, in order."""
    names = dict.fromkeys([*vars(port), *inspect.get_annotations(port)])
    return [name for name in names if not name.startswith("_") and name not in _OPTIONAL]


def _problem_with(declared: Any, name: str, instance: object) -> str:
    try:
        actual = getattr(instance, name, _ABSENT)
    except Exception as error:  # noqa: BLE001 - a plugin's property may raise anything
        return f"`{name}`, which raises {type(error).__name__}"
    if actual is _ABSENT:
        return f"`{name}`"
    if not inspect.isfunction(declared):
        return ""
    if not callable(actual):
        return f"`{name}` as a method"
    if inspect.iscoroutinefunction(declared) and not inspect.iscoroutinefunction(actual):
        return f"`{name}` as an async method"
    return ""


def _check_problems(instance: object) -> Iterator[str]:
    if not isinstance(instance, LaneCheck):
        yield "the type core.model.lane.LaneCheck"
        return
    name: Any = instance.name
    if not isinstance(name, str) or not name:
        yield "a `name`"
    command: Any = instance.command
    if not isinstance(command, tuple) or not command or not all(isinstance(word, str) and word for word in command):
        yield "a `command` that is a tuple of words"
