"""Structured edits: the meaning of a request as values that executors apply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Final

from core.model.dotted_key import split_key
from core.model.repository_path import check_path


@dataclass(frozen=True, slots=True)
class SetKey:
    """Set one key of a structured file; `quoted` makes the value text, `was` must be its old value.

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
    """Replace every occurrence of `old` in one file, or in all files that a glob matches.

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
    """Move one file to another path."""

    source: str
    target: str

    def __post_init__(self) -> None:
        check_path(self.source)
        check_path(self.target)


@dataclass(frozen=True, slots=True)
class DeleteFile:
    """Delete one file."""

    path: str

    def __post_init__(self) -> None:
        check_path(self.path)


@dataclass(frozen=True, slots=True)
class BumpPackage:
    """Require another version of a package; `exact` pins it, else the operator in the file is kept.

    Without `path`, the only manifest that names the package is changed; `was` must be its current version. With `down`
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
    """The paths that an edit names literally, both sides of a move; a glob names none, nor does a bump without path."""
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
