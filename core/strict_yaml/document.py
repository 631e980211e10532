"""Strict YAML: a small, unsurprising part of YAML for files that grant power, with the line of every key.

What YAML 1.1 would guess is refused or stays text (security.md 133-137). Plain scalars resolve as in the core
schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema) without its octal, hexadecimal and infinite
numbers. `core.strict_yaml.model` turns a document into a checked model.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from core.model.advice import RESTORE
from core.model.errors import ConfigError

MAX_BYTES: Final = 1_000_000
MAX_DEPTH: Final = 50
KeyPath = tuple[str | int, ...]

_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
# The booleans of YAML 1.1 (https://yaml.org/type/bool.html) that 1.2 reads as text: which was meant?
_OLD_BOOLS: Final = frozenset(
    spelling for word in ("y", "n", "yes", "no", "on", "off") for spelling in (word, word.capitalize(), word.upper())
)
_INT: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_LONG_INT: Final = re.compile(r"[-+]?[1-9][0-9]{18,}")
_FLOAT: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})?(\.[0-9]{1,18})?([eE][-+]?[0-9]{1,2})?")
# Control characters, line breaks that only some readers see, and characters that reorder what is shown.
_HIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")
_MARKS: Final = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_Loader: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where PyYAML was built with it


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """One YAML file as plain dicts, lists and scalars; `lines` gives the line (from 1) of every key path."""

    path: str
    tree: Any
    lines: Mapping[KeyPath, int]

    def line_of(self, key: KeyPath) -> int | None:
        """The line of `key`, or of the nearest key around it that the file has."""
        for end in range(len(key), -1, -1):
            if key[:end] in self.lines:
                return self.lines[key[:end]]
        return None

    def error(self, key: KeyPath, message: str, mend: str = "") -> ConfigError:
        """The error that names this file, the line of `key`, and `key` with dots."""
        return ConfigError(self.path, self.line_of(key), dotted(key), message, mend)


def dotted(key: KeyPath) -> str:
    """`key` as people write it: ``rules[0].when.lane``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    return text.removeprefix(".")


def load(path: Path) -> YamlDocument:
    """The document in the file at `path`; raises `ConfigError` if missing, unreadable or not strict YAML."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise ConfigError(path, None, "", "is not a regular file", "Put a text file there.")
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(path, None, "", "the file is missing", RESTORE) from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigError(path, None, "", f"the file cannot be read: {why}", "Check its permissions.") from error
    return loads(raw, path)


def loads(raw: bytes, path: Path | str) -> YamlDocument:
    """The document in `raw`, named `path` in errors; raises `ConfigError` for anything but strict YAML."""
    text = _decode(raw, path)
    composer = _Composer(str(path))
    try:
        for event in yaml.parse(text, Loader=_Loader):
            composer.feed(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        what = ", ".join(part for part in (error.problem, error.context) if part)
        raise ConfigError(path, line, "", f"is not valid YAML: {what}", "Check indentation and quotes.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(path, None, "", f"is not valid YAML: {error}", "Check the whole file.") from error
    if not composer.documents:
        raise ConfigError(path, 1, "", "the file is empty", "Write at least one key.")
    return YamlDocument(str(path), composer.tree, composer.lines)


def _decode(raw: bytes, path: Path | str) -> str:
    """`raw` as text; raises `ConfigError` for another encoding, hidden characters or too many bytes."""
    if len(raw) > MAX_BYTES:
        raise ConfigError(path, None, "", f"the file is larger than {MAX_BYTES} bytes", "Split or shorten it.")
    if raw.startswith(_MARKS):
        raise ConfigError(path, 1, "", "the file has a byte order mark", "Save it as UTF-8 without one.")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(path, line, "", "the file is not UTF-8", "Save it as UTF-8.") from error
    if found := _HIDDEN.search(text):
        line = text.count("\n", 0, found.start()) + 1
        point = f"U+{ord(found.group()):04X}"
        raise ConfigError(path, line, "", f"the file has the hidden character {point}", "Delete it.")
    return text


@dataclass(slots=True)
class _Open:
    """A mapping or sequence that is being read; `key` is the mapping key whose value comes next."""

    value: dict[str, Any] | list[Any]
    path: KeyPath
    key: str | None = None


@dataclass(slots=True)
class _Composer:
    """Builds a tree from parser events without recursion, and refuses what is not strict."""

    path: str
    tree: Any = None
    documents: int = 0
    lines: dict[KeyPath, int] = field(default_factory=dict)
    stack: list[_Open] = field(default_factory=list)

    def feed(self, event: yaml.Event) -> None:
        """Take the next event; raises `ConfigError`."""
        line = event.start_mark.line + 1 if event.start_mark else 1
        match event:
            case yaml.DocumentStartEvent():
                self._start_document(event, line)
            case yaml.AliasEvent():
                raise self._refuse(line, f"uses the alias *{event.anchor}", "Write the value out again.")
            case yaml.NodeEvent():
                self._node(event, line)
            case yaml.CollectionEndEvent():
                self.stack.pop()
            case _:
                pass

    def _start_document(self, event: yaml.DocumentStartEvent, line: int) -> None:
        self.documents += 1
        if self.documents > 1:
            raise self._refuse(line, "starts a second document", "Keep one document in a file.")
        if event.version or event.tags:
            raise self._refuse(line, "has a % directive", "Delete the line.")

    def _node(self, event: yaml.NodeEvent, line: int) -> None:
        if event.anchor is not None:
            raise self._refuse(line, f"has the anchor &{event.anchor}", "Write the value where it is needed.")
        if (tag := getattr(event, "tag", None)) is not None:
            raise self._refuse(line, f"has the tag {tag}", "Delete the tag; quote the value if it is text.")
        top = self.stack[-1] if self.stack else None
        if top is not None and isinstance(top.value, dict) and top.key is None:
            self._take_key(top, event, line)
            return
        path = self._place(top, line)
        if isinstance(event, yaml.ScalarEvent):
            self._put(top, self._scalar(event, path, line))
            return
        if len(self.stack) >= MAX_DEPTH:
            raise self._refuse(line, f"is nested deeper than {MAX_DEPTH}", "Flatten it.", ())
        inner: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._put(top, inner)
        self.stack.append(_Open(inner, path))

    def _place(self, top: _Open | None, line: int) -> KeyPath:
        """The key path of the value that comes next."""
        if top is None:
            path: KeyPath = ()
        elif isinstance(top.value, dict):
            return (*top.path, top.key or "")
        else:
            path = (*top.path, len(top.value))
        self.lines[path] = line
        return path

    def _put(self, top: _Open | None, value: Any) -> None:
        if top is None:
            self.tree = value
        elif isinstance(top.value, dict):
            top.value[top.key or ""] = value
            top.key = None
        else:
            top.value.append(value)

    def _take_key(self, top: _Open, event: yaml.NodeEvent, line: int) -> None:
        assert isinstance(top.value, dict)
        if not isinstance(event, yaml.ScalarEvent):
            raise self._refuse(line, "uses a list or a mapping as a key", "Use a word as the key.", top.path)
        if event.implicit[0] and event.value == "<<":
            raise self._refuse(line, "uses the merge key <<", "Write the keys out.", top.path)
        key = self._scalar(event, top.path, line)
        if not isinstance(key, str) or not key:
            said = event.value or "nothing"
            raise self._refuse(line, f"has {said} as a key", "Put quotes around the key.", top.path)
        path = (*top.path, key)
        if key in top.value:
            first = self.lines[path]
            raise self._refuse(line, f"appears twice, first on line {first}", "Delete one of them.", path)
        self.lines[path] = line
        top.key = key

    def _scalar(self, event: yaml.ScalarEvent, path: KeyPath, line: int) -> str | int | float | bool | None:
        """The value of a scalar: quoted ones are text, plain ones as the module's docstring says."""
        text = event.value
        if not event.implicit[0]:
            return text
        if text in _OLD_BOOLS:
            mend = f'Write true or false, or "{text}" in quotes if it is text.'
            raise self._refuse(line, f"{text} can mean true or false or text", mend, path)
        if _LONG_INT.fullmatch(text):
            raise self._refuse(line, "the number is too large", "Put quotes around it if it is text.", path)
        if text in _NULLS:
            return None
        if text in _BOOLS:
            return _BOOLS[text]
        if _INT.fullmatch(text):
            return int(text)
        if any(c.isdigit() for c in text) and _FLOAT.fullmatch(text) and text.lstrip("+-")[:1] not in "eE":
            return float(text)
        return text

    def _refuse(self, line: int, message: str, mend: str, path: KeyPath | None = None) -> ConfigError:
        if path is None:
            top = self.stack[-1] if self.stack else None
            path = () if top is None else (*top.path, top.key) if top.key is not None else top.path
        return ConfigError(self.path, line, dotted(path), message, mend)
