"""Locates a dotted key in a parsed file: found, missing, or too ambiguous to change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from core.model.dotted_key import KeyPart, split_key
from core.model.edits import SetKey
from lanes.executors.errors import EditError

KeyPath = tuple[str | int, ...]
_MAX_WALKED = 20_000


class ParsedMapping(dict[str, object]):
    """A parsed mapping, with the keys that it repeats and those that it inherits from elsewhere."""

    __slots__ = ("inherited", "repeated")

    def __init__(self, pairs: Iterable[tuple[str, object]] = (), inherited: frozenset[str] = frozenset()) -> None:
        listed = list(pairs)
        super().__init__(listed)
        counted = Counter(name for name, _ in listed)
        self.inherited = inherited
        self.repeated = frozenset(name for name, times in counted.items() if times > 1)


@dataclass(frozen=True, slots=True)
class FixedValue:
    """A value that must not be changed or entered; `reason` says why."""

    reason: str


@dataclass(frozen=True, slots=True)
class KeyLocation:
    """The existing part of a key's path, and the missing names below it (none when the key exists)."""

    path: KeyPath
    missing: tuple[str, ...] = ()


def locate(shape: object, edit: SetKey) -> KeyLocation:
    """The location of the edit's key in `shape`; EditError when it is ambiguous, missing or must not be changed."""
    parts = split_key(edit.key)
    paths = list(dict.fromkeys(_matches(shape, parts, ())))
    if len(paths) > 1:
        candidates = " and ".join(format_path(path) for path in paths[:3])
        raise EditError("ambiguous", f"{edit.key} could be {candidates} in {edit.path}", "Name one of them.")
    location = KeyLocation(paths[0]) if paths else _missing_location(shape, parts, edit)
    _refuse_fixed(shape, location, edit)
    if not location.missing and edit.new:
        raise EditError("exists", f"{edit.path} already has {edit.key}", f"Say: set {edit.key} to … in {edit.path}.")
    if location.missing and edit.was is not None:
        raise EditError(
            "not_found", f"{edit.path} has no {edit.key}, so it is not {edit.was}", suggest_key(shape, parts)
        )
    if location.missing and not edit.new and (hint := suggest_key(shape, parts)):
        raise EditError(
            "no_such_key",
            f"{edit.path} has no {edit.key}",
            f"{hint} To add it anyway, say: set new key {edit.key} to … in {edit.path}.",
        )
    return location


def value_at(shape: object, path: KeyPath) -> object:
    """The value at an existing path."""
    for step in path:
        shape = shape[step]  # type: ignore[index]
    return shape


def with_value(shape: object, location: KeyLocation, value: object) -> object:
    """A copy of `shape` with `value` at `location`; missing names become nested mappings."""
    if location.path:
        step, rest = location.path[0], KeyLocation(location.path[1:], location.missing)
        copied: dict[str, object] | list[object]
        if isinstance(shape, list):
            copied = list(shape)
            copied[int(step)] = with_value(shape[int(step)], rest, value)
        else:
            assert isinstance(shape, dict)
            copied = dict(shape)
            copied[str(step)] = with_value(shape[str(step)], rest, value)
        return copied
    if not location.missing:
        return value
    inner = with_value({}, KeyLocation((), location.missing[1:]), value)
    return {**(shape if isinstance(shape, dict) else {}), location.missing[0]: inner}


def is_same(one: object, other: object) -> bool:
    """True if two parsed values are equal in value and type; 1, 1.0 and true differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    return type(one) is type(other) and (one == other or repr(one) == repr(other))


def format_path(path: KeyPath) -> str:
    """A path in dotted notation, with names that contain dots in quotes."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            plain = step and not any(c in step for c in ".[]'\" ")
            text += ("." if text else "") + (step if plain else f'"{step}"')
    return text


def suggest_key(shape: object, parts: tuple[KeyPart, ...]) -> str:
    """`Did you mean …?` when the key exists elsewhere, or a key with one typo does; may be empty."""
    names = tuple(part.text for part in parts)
    hints: list[str] = []
    for path in _walk(shape):
        steps = tuple(str(step) for step in path)
        if len(steps) == len(names) and all(map(_is_typo, names, steps)):
            hints.insert(0, format_path(path))
        elif len(steps) > len(names) and steps[-len(names) :] == names:
            hints.append(format_path(path))
    return f"Did you mean {' or '.join(hints[:3])}?" if hints else ""


def _matches(shape: object, parts: tuple[KeyPart, ...], path: KeyPath) -> Iterator[KeyPath]:
    if not parts:
        yield path
    elif isinstance(shape, dict):
        for count in range(1, len(parts) + 1):
            if count > 1 and any(part.literal for part in parts[:count]):
                return
            name = ".".join(part.text for part in parts[:count])
            if name in shape:
                yield from _matches(shape[name], parts[count:], (*path, name))
    elif isinstance(shape, list):
        index = _index(parts[0], shape)
        if index is not None:
            yield from _matches(shape[index], parts[1:], (*path, index))
    elif isinstance(shape, FixedValue):
        yield path


def _index(part: KeyPart, items: list[object]) -> int | None:
    usable = not part.literal and part.text.isascii() and part.text.isdigit() and len(part.text) < 10
    return int(part.text) if usable and int(part.text) < len(items) else None


def _missing_location(shape: object, parts: tuple[KeyPart, ...], edit: SetKey) -> KeyLocation:
    """The deepest existing mapping on the key's path, and the names that are missing below it."""
    path: KeyPath = ()
    while isinstance(shape, dict) and parts and parts[0].text in shape:
        shape, path, parts = shape[parts[0].text], (*path, parts[0].text), parts[1:]
        if isinstance(shape, list) and parts and (index := _index(parts[0], shape)) is not None:
            shape, path, parts = shape[index], (*path, index), parts[1:]
    if isinstance(shape, list):
        at_place = format_path(path) or "The top level"
        message = f"{at_place} in {edit.path} is a list of {len(shape)}, so it has no {parts[0].text}"
        raise EditError("no_such_key", message, "Name an item by its number, the first is 0.")
    if shape is not None and not isinstance(shape, dict):
        raise EditError(
            "no_such_key", f"{format_path(path)} in {edit.path} is a single value, so it has no {parts[0].text}"
        )
    names = tuple(part.text for part in parts)
    if isinstance(shape, dict) and len(names) > 1 and any(key.startswith(names[0] + ".") for key in shape):
        names = (".".join(names),)
    return KeyLocation(path, names)


def _refuse_fixed(shape: object, location: KeyLocation, edit: SetKey) -> None:
    for step in location.path:
        if isinstance(shape, ParsedMapping) and step in shape.repeated:
            raise EditError("ambiguous", f"{edit.path} has the key {step} twice in one place", "Remove one first.")
        shape = shape[step]  # type: ignore[index]
        if isinstance(shape, FixedValue):
            raise EditError("ambiguous", f"{edit.key} in {edit.path} {shape.reason}", _replace_hint(edit))
    if location.missing and isinstance(shape, ParsedMapping) and location.missing[0] in shape.inherited:
        reason = f"{edit.key} in {edit.path} is inherited through a merge key"
        raise EditError("ambiguous", reason, _replace_hint(edit))


def _replace_hint(edit: SetKey) -> str:
    return f'Name the exact text instead: replace "old" with "new" in {edit.path}.'


def _walk(shape: object) -> Iterator[KeyPath]:
    """The path of every key, breadth first, up to a limit."""
    queue: list[tuple[KeyPath, object]] = [((), shape)]
    for path, value in queue:
        if len(queue) > _MAX_WALKED:
            return
        steps: Iterable[tuple[str | int, object]] = ()
        if isinstance(value, dict):
            steps = value.items()
        elif isinstance(value, list):
            steps = enumerate(value)
        for step, inner in steps:
            yield (*path, step)
            queue.append(((*path, step), inner))


def _is_typo(requested: str, existing: str) -> bool:
    """True if two names differ by one letter, by two swapped letters, or only in case, dashes and underscores."""
    one, other = (name.casefold().replace("-", "").replace("_", "") for name in (requested, existing))
    if one == other:
        return True
    if min(len(one), len(other)) < 4 or abs(len(one) - len(other)) > 1:
        return False
    start = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    own_rest, other_rest = one[start:], other[start:]
    changed = own_rest[:1] + other_rest[:1]
    if any(c.isdigit() for c in changed):
        return False
    swapped = own_rest[:2] == other_rest[:2][::-1] and own_rest[2:] == other_rest[2:]
    return swapped or own_rest[1:] == other_rest[1:] or own_rest[1:] == other_rest or own_rest == other_rest[1:]
