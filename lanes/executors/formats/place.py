"""Where a dotted key lives in a parsed file: found, to be added, or not clear enough to touch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from core.model.dotted_key import KeyPart, split_key
from core.model.edits import SetKey
from lanes.executors.errors import EditError

Path = tuple[str | int, ...]
_MAX_WALKED = 20_000


class Group(dict[str, object]):
    """A mapping as parsed: also the keys that it holds twice and those that it takes from elsewhere."""

    __slots__ = ("inherited", "repeated")

    def __init__(self, pairs: Iterable[tuple[str, object]] = (), inherited: frozenset[str] = frozenset()) -> None:
        listed = list(pairs)
        super().__init__(listed)
        counted = Counter(name for name, _ in listed)
        self.inherited = inherited
        self.repeated = frozenset(name for name, times in counted.items() if times > 1)


@dataclass(frozen=True, slots=True)
class Closed:
    """A value that must not be changed or entered, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class KeyPosition:
    """The path of what is there, and the names still to be made beneath it (none when the key exists)."""

    path: Path
    missing: tuple[str, ...] = ()


def locate(shape: object, edit: SetKey) -> KeyPosition:
    """The one place that the edit's key means in `shape`; EditError when it is none, several or closed."""
    parts = split_key(edit.key)
    found = list(dict.fromkeys(_matches(shape, parts, ())))
    if len(found) > 1:
        ways = " and ".join(spell(path) for path in found[:3])
        raise EditError("ambiguous", f"{edit.key} could be {ways} in {edit.path}", "Name one of them.")
    place = KeyPosition(found[0]) if found else _missing(shape, parts, edit)
    _refuse_closed(shape, place, edit)
    if not place.missing and edit.new:
        raise EditError("exists", f"{edit.path} already has {edit.key}", f"Say: set {edit.key} to … in {edit.path}.")
    if place.missing and edit.was is not None:
        raise EditError("not_found", f"{edit.path} has no {edit.key}, so it is not {edit.was}", near(shape, parts))
    if place.missing and not edit.new and (hint := near(shape, parts)):
        raise EditError(
            "no_such_key",
            f"{edit.path} has no {edit.key}",
            f"{hint} To add it all the same, say: set new key {edit.key} to … in {edit.path}.",
        )
    return place


def at(shape: object, path: Path) -> object:
    """The value at an existing path."""
    for step in path:
        shape = shape[step]  # type: ignore[index]
    return shape


def with_value(shape: object, place: KeyPosition, value: object) -> object:
    """A copy of `shape` where only `place` has `value`; the missing names become nested mappings."""
    if place.path:
        step, rest = place.path[0], KeyPosition(place.path[1:], place.missing)
        copied: dict[str, object] | list[object]
        if isinstance(shape, list):
            copied = list(shape)
            copied[int(step)] = with_value(shape[int(step)], rest, value)
        else:
            assert isinstance(shape, dict)
            copied = dict(shape)
            copied[str(step)] = with_value(shape[str(step)], rest, value)
        return copied
    if not place.missing:
        return value
    inner = with_value({}, KeyPosition((), place.missing[1:]), value)
    return {**(shape if isinstance(shape, dict) else {}), place.missing[0]: inner}


def same(one: object, other: object) -> bool:
    """Whether two parsed values are equal in value and in type; 1, 1.0 and true differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and (one == other or repr(one) == repr(other))


def spell(path: Path) -> str:
    """A path as a person writes it, with quotes round names that hold dots."""
    said = ""
    for step in path:
        if isinstance(step, int):
            said += f"[{step}]"
        else:
            plain = step and not any(c in step for c in ".[]'\" ")
            said += ("." if said else "") + (step if plain else f'"{step}"')
    return said


def near(shape: object, parts: tuple[KeyPart, ...]) -> str:
    """`Did you mean …?` when the same key sits elsewhere or a key there differs by one slip of the finger."""
    names = tuple(part.text for part in parts)
    hints: list[str] = []
    for path in _walk(shape):
        said = tuple(str(step) for step in path)
        if len(said) == len(names) and all(map(_one_slip, names, said)):
            hints.insert(0, spell(path))
        elif len(said) > len(names) and said[-len(names) :] == names:
            hints.append(spell(path))
    return f"Did you mean {' or '.join(hints[:3])}?" if hints else ""


def _matches(shape: object, parts: tuple[KeyPart, ...], path: Path) -> Iterator[Path]:
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
    elif isinstance(shape, Closed):
        yield path


def _index(part: KeyPart, items: list[object]) -> int | None:
    usable = not part.literal and part.text.isascii() and part.text.isdigit() and len(part.text) < 10
    return int(part.text) if usable and int(part.text) < len(items) else None


def _missing(shape: object, parts: tuple[KeyPart, ...], edit: SetKey) -> KeyPosition:
    """The deepest mapping on the way to the key, and the names that it lacks."""
    path: Path = ()
    while isinstance(shape, dict) and parts and parts[0].text in shape:
        shape, path, parts = shape[parts[0].text], (*path, parts[0].text), parts[1:]
        if isinstance(shape, list) and parts and (index := _index(parts[0], shape)) is not None:
            shape, path, parts = shape[index], (*path, index), parts[1:]
    if isinstance(shape, list):
        at_place = spell(path) or "The top level"
        message = f"{at_place} in {edit.path} is a list of {len(shape)}, so it has no {parts[0].text}"
        raise EditError("no_such_key", message, "Name an item by its number, the first is 0.")
    if shape is not None and not isinstance(shape, dict):
        raise EditError("no_such_key", f"{spell(path)} in {edit.path} is a single value, so it has no {parts[0].text}")
    names = tuple(part.text for part in parts)
    if isinstance(shape, dict) and len(names) > 1 and any(key.startswith(names[0] + ".") for key in shape):
        names = (".".join(names),)
    return KeyPosition(path, names)


def _refuse_closed(shape: object, place: KeyPosition, edit: SetKey) -> None:
    for step in place.path:
        if isinstance(shape, Group) and step in shape.repeated:
            raise EditError("ambiguous", f"{edit.path} has the key {step} twice in one place", "Remove one first.")
        shape = shape[step]  # type: ignore[index]
        if isinstance(shape, Closed):
            raise EditError("ambiguous", f"{edit.key} in {edit.path} {shape.why}", _by_text(edit))
    if place.missing and isinstance(shape, Group) and place.missing[0] in shape.inherited:
        why = f"{edit.key} in {edit.path} comes from elsewhere through a merge key"
        raise EditError("ambiguous", why, _by_text(edit))


def _by_text(edit: SetKey) -> str:
    return f'Say exactly which text to change: replace "old" with "new" in {edit.path}.'


def _walk(shape: object) -> Iterator[Path]:
    """Every key's path, breadth first, within a bound."""
    queue: list[tuple[Path, object]] = [((), shape)]
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


def _one_slip(asked: str, there: str) -> bool:
    """Whether two names differ by one letter, two swapped letters, or only in case and in - and _."""
    one, other = (name.casefold().replace("-", "").replace("_", "") for name in (asked, there))
    if one == other:
        return True
    if min(len(one), len(other)) < 4 or abs(len(one) - len(other)) > 1:
        return False
    start = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    rest, theirs = one[start:], other[start:]
    changed = rest[:1] + theirs[:1]
    if any(c.isdigit() for c in changed):
        return False
    swapped = rest[:2] == theirs[:2][::-1] and rest[2:] == theirs[2:]
    return swapped or rest[1:] == theirs[1:] or rest[1:] == theirs or rest == theirs[1:]
