"""Structured edits: the meaning of a plain request, as values that any executor can apply."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Final

MAX_PATH_CHARS: Final = 1024
MAX_KEY_PARTS: Final = 16
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


class PathError(ValueError):
    """The path does not stay inside the repository; the message says why."""


class KeyTextError(ValueError):
    """The key cannot be split into parts; the message says why."""


@dataclass(frozen=True, slots=True)
class KeyPart:
    """One step of a dotted key; a `literal` part was quoted and is never split or read as an index."""

    text: str
    literal: bool = False


@dataclass(frozen=True, slots=True)
class SetKey:
    """Give one key of a structured file a value; `quoted` makes the value text, `was` must be its old value.

    With `new` the key must not exist yet.
    """

    path: str
    key: str
    value: str
    quoted: bool = False
    was: str | None = None
    new: bool = False

    def __post_init__(self) -> None:
        check_path(self.path)
        split_key(self.key)


@dataclass(frozen=True, slots=True)
class ReplaceText:
    """Replace every occurrence of `old` in one file, or in all files that a glob names.

    With `word`, occurrences inside a longer word do not count.
    """

    target: str
    old: str
    new: str
    word: bool = False

    def __post_init__(self) -> None:
        check_path(self.target)
        if not self.old:
            raise ValueError("The text to replace is empty.")


@dataclass(frozen=True, slots=True)
class AddLine:
    """Add one line (or several) at the end of a file, or at the end of the section under a heading.

    With `item` it becomes an item of the list there, with that list's bullet or next number.
    """

    path: str
    line: str
    heading: str | None = None
    item: bool = False

    def __post_init__(self) -> None:
        check_path(self.path)


@dataclass(frozen=True, slots=True)
class RemoveLine:
    """Remove the one line that contains a text, or with `every` all lines that contain it.

    With `whole` the line must be exactly this text, with `word` the text must not be part of a longer word.
    """

    path: str
    containing: str
    every: bool = False
    whole: bool = False
    word: bool = False

    def __post_init__(self) -> None:
        check_path(self.path)
        if not self.containing.strip():
            raise ValueError("The text that names the line is empty.")


@dataclass(frozen=True, slots=True)
class MoveFile:
    """Give one file another path."""

    source: str
    target: str

    def __post_init__(self) -> None:
        check_path(self.source)
        check_path(self.target)


@dataclass(frozen=True, slots=True)
class DeleteFile:
    """Remove one file."""

    path: str

    def __post_init__(self) -> None:
        check_path(self.path)


@dataclass(frozen=True, slots=True)
class BumpPackage:
    """Require another version of a package; `exact` pins it, else the operator in the file is kept.

    Without `path` the one manifest that names the package is changed; `was` must be the version named now. With `down`
    the version may be older.
    """

    package: str
    version: str
    path: str | None = None
    exact: bool = False
    was: str | None = None
    down: bool = False

    def __post_init__(self) -> None:
        if self.path is not None:
            check_path(self.path)
        for text in (self.package, self.version):
            if not text.strip() or any(c.isspace() for c in text):
                raise ValueError("A package and a version are one word each.")


@dataclass(frozen=True, slots=True)
class CreateFile:
    """Create a file with exactly this content."""

    path: str
    content: str

    def __post_init__(self) -> None:
        check_path(self.path)


Edit = SetKey | ReplaceText | AddLine | RemoveLine | MoveFile | DeleteFile | BumpPackage | CreateFile

KINDS: Final[Mapping[str, type[Edit]]] = {
    "set_key": SetKey,
    "replace_text": ReplaceText,
    "add_line": AddLine,
    "remove_line": RemoveLine,
    "move_file": MoveFile,
    "delete_file": DeleteFile,
    "bump_package": BumpPackage,
    "create_file": CreateFile,
}
_KIND_OF: Final = {kind: name for name, kind in KINDS.items()}
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "str": (str,),
    "bool": (bool,),
    "str | None": (str, type(None)),
}


def paths_named(edit: Edit) -> tuple[str, ...]:
    """The paths that an edit names literally, both sides of a move; a glob or an open search names none."""
    match edit:
        case MoveFile(source, target):
            return (source, target)
        case ReplaceText(target=target):
            return () if is_glob(target) else (target,)
        case BumpPackage(path=path):
            return () if path is None else (path,)
        case _:
            return (edit.path,)


def is_glob(text: str) -> bool:
    """Whether a target names several files: `*` and `?` are wildcards, brackets are ordinary characters."""
    return "*" in text or "?" in text


def check_path(text: str) -> str:
    """The path itself when it stays inside the repository, else PathError with one sentence."""
    wrong = _wrong_path(text)
    if wrong is not None:
        shown = json.dumps(text[:80], ensure_ascii=True)
        raise PathError(wrong.format(f"The path {shown}") if text else wrong)
    return text


def _wrong_path(text: str) -> str | None:
    """What is wrong with a path, with a place for the path itself, or None."""
    if not text:
        return "The path is empty."
    if len(text) > MAX_PATH_CHARS:
        return f"{{}}… is longer than {MAX_PATH_CHARS} characters."
    if not (text.isascii() and text.isprintable()) and any(unicodedata.category(c) in _HIDDEN for c in text):
        return "{} has control or invisible characters."
    if "\\" in text:
        return "{} has a backslash; separate folders with /."
    if text.startswith(("/", "~")) or (len(text) > 1 and text[1] == ":" and text[0].isalpha()):
        return "{} is absolute; name it from the repository's root."
    return next(filter(None, map(_wrong_part, text.split("/"))), None)


def _wrong_part(part: str) -> str | None:
    if part in ("", ".", ".."):
        return "{} has an empty, '.' or '..' part."
    if part != part.strip():
        return "{} has a part that begins or ends with a space."
    if unicodedata.normalize("NFKC", part).casefold().rstrip(". ") in (".git", "git~1"):
        return "{} is inside git's own folder."
    return None


def split_key(text: str) -> tuple[KeyPart, ...]:
    """The parts of `a.b[0]."c.d"`: quotes make a part literal, brackets hold an index or a quoted part.

    Raises `KeyTextError`.
    """
    parts: list[KeyPart] = []
    at, expects_part = 0, True
    while at < len(text):
        char = text[at]
        if char == "." and not expects_part:
            at, expects_part = at + 1, True
            continue
        if char == "[" and (not expects_part or not parts):
            part, at = _bracketed(text, at)
        elif expects_part and char in "'\"":
            end = _quote_end(text, at)
            part, at = KeyPart(text[at + 1 : end - 1], literal=True), end
        elif expects_part and char not in ".[]":
            end = min((i for i in (text.find(".", at), text.find("[", at)) if i > 0), default=len(text))
            part, at = KeyPart(text[at:end].strip()), end
        else:
            raise KeyTextError(f"The key {_show(text)} has an empty part or a stray character.")
        if not part.text or not part.text.isprintable() or ("]" in part.text and not part.literal):
            raise KeyTextError(f"The key {_show(text)} has an empty part or a stray character.")
        parts.append(part)
        expects_part = False
    if expects_part:
        raise KeyTextError(f"The key {_show(text)} is empty or ends with a dot.")
    if len(parts) > MAX_KEY_PARTS:
        raise KeyTextError(f"The key {_show(text)} has more than {MAX_KEY_PARTS} parts.")
    return tuple(parts)


def _bracketed(text: str, at: int) -> tuple[KeyPart, int]:
    """The part in the brackets that open at `at`, and the position after them."""
    quoted = text[at + 1 : at + 2] in ("'", '"')
    end = text.find("]", _quote_end(text, at + 1) if quoted else at)
    inner = text[at + 1 : max(end, at + 1)]
    if quoted and inner[-1:] == inner[:1]:
        return KeyPart(inner[1:-1], literal=True), end + 1
    if inner.isascii() and inner.isdigit():
        return KeyPart(inner), end + 1
    raise KeyTextError(f"The key {_show(text)} has brackets without an index in them.")


def _quote_end(text: str, at: int) -> int:
    """The position after the quote that closes the one at `at`."""
    end = text.find(text[at], at + 1)
    if end < 0:
        raise KeyTextError(f"The key {_show(text)} has a quote that is not closed.")
    return end + 1


def to_json(edit: Edit) -> dict[str, object]:
    """The edit as a JSON object with its `kind`; fields at their default are left out."""
    document: dict[str, object] = {"kind": _KIND_OF[type(edit)]}
    for field in fields(edit):
        value = getattr(edit, field.name)
        if field.default is MISSING or value != field.default:
            document[field.name] = value
    return document


def from_json(document: Mapping[str, object]) -> Edit:
    """Read an edit; raises `ValueError` for an unknown kind or key, a wrong type or a bad path."""
    name = document.get("kind")
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ValueError(f"The edit has no known kind; it is one of {', '.join(KINDS)}.")
    known = {field.name: field for field in fields(kind)}
    if unknown := sorted(str(key) for key in document if key != "kind" and key not in known):
        raise ValueError(f"The edit {name} has no field {unknown[0]!r}.")
    values: dict[str, object] = {}
    for key, field in known.items():
        if key not in document:
            if field.default is MISSING:
                raise ValueError(f"The edit {name} needs the field {key!r}.")
            continue
        value = document[key]
        if not isinstance(value, _TYPES[str(field.type)]):
            raise ValueError(f"The field {key!r} of the edit {name} must be {field.type}.")
        values[key] = value
    edit: Edit = kind(**values)  # type: ignore[arg-type]
    return edit


def describe(edit: Edit) -> str:
    """One short phrase for this edit as a person would say it, for use as a title."""
    match edit:
        case SetKey():
            value = _show(edit.value) if edit.quoted else _clip(edit.value)
            before = f" from {_clip(edit.was)}" if edit.was is not None else ""
            return f"set {'new key ' if edit.new else ''}{edit.key}{before} to {value} in {edit.path}"
        case ReplaceText(target, old, new, word):
            return f"replace {'the word ' if word else ''}{_show(old)} with {_show(new)} in {target}"
        case AddLine(path, line, heading, item):
            under = f" under {_show(heading)}" if heading is not None else ""
            return f"add the {'bullet' if item else 'line'} {_show(line)} to {path}{under}"
        case RemoveLine(path, containing, every, whole, word):
            which = "all lines" if every else "the line"
            how = "" if whole else "containing the word " if word else "containing "
            return f"remove {which} {how}{_show(containing)} from {path}"
        case MoveFile(source, target):
            return f"move {source} to {target if '/' in target or '.' in target else _show(target)}"
        case DeleteFile(path):
            return f"delete {path}"
        case BumpPackage():
            verb = "pin" if edit.exact else "downgrade" if edit.down else "bump"
            before = f" from {edit.was}" if edit.was is not None else ""
            place = f" in {edit.path}" if edit.path is not None else ""
            return f"{verb} {edit.package}{before} to {edit.version}{place}"
        case CreateFile(path, content):
            return f"create {path} with {_show(content.removesuffix(chr(10)))}"


def _clip(text: str, limit: int = 60) -> str:
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def _show(text: str) -> str:
    """The text in quotes that the grammar reads back as this text, if it is short and has one line."""
    plain = ('"' in text or "\\" in text) and "'" not in text and "\n" not in text
    return f"'{_clip(text)}'" if plain else '"' + _clip(text).replace('"', '\\"') + '"'
