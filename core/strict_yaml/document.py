"""A strict subset of YAML for files that grant authority, with the line number of every key.

Constructs that YAML 1.1 would guess at are refused or read as text (security.md 133-137). Plain scalars resolve as in
the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema) without its octal, hexadecimal and infinite
numbers. `core.strict_yaml.model` checks a document against a model.
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
# Booleans in YAML 1.1 (https://yaml.org/type/bool.html) that YAML 1.2 reads as text, so the meaning is ambiguous.
_OLD_BOOLS: Final = frozenset(
    spelling for word in ("y", "n", "yes", "no", "on", "off") for spelling in (word, word.capitalize(), word.upper())
)
_INT: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_LONG_INT: Final = re.compile(r"[-+]?[1-9][0-9]{18,}")
_FLOAT: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})?(\.[0-9]{1,18})?([eE][-+]?[0-9]{1,2})?")
# Control characters, line breaks that only some programs recognise, and characters that reorder displayed text.
_HIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")
_BYTE_ORDER_MARKS: Final = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_Loader: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where PyYAML was built with it


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """One YAML file as plain dicts, lists and scalars; `lines` maps every key path to its line (from 1)."""

    path: str
    tree: Any
    lines: Mapping[KeyPath, int]

    def line_of(self, key: KeyPath) -> int | None:
        """The line of `key`, or of its nearest ancestor that is in the file."""
        for end in range(len(key), -1, -1):
            if key[:end] in self.lines:
                return self.lines[key[:end]]
        return None

    def error(self, key: KeyPath, message: str, mend: str = "") -> ConfigError:
        """An error that names this file, the line of `key`, and `key` in dotted form."""
        return ConfigError(self.path, self.line_of(key), dotted(key), message, mend)


def dotted(key: KeyPath) -> str:
    """`key` in dotted form: ``rules[0].when.lane``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    return text.removeprefix(".")


def load(path: Path) -> YamlDocument:
    """Load the file at `path`; raises `ConfigError` if it is missing, unreadable or not strict YAML."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise ConfigError(path, None, "", "is not a regular file", "Put a text file there.")
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(path, None, "", "the file is missing", RESTORE) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(path, None, "", f"the file cannot be read: {reason}", "Check its permissions.") from error
    return loads(raw, path)


def loads(raw: bytes, path: Path | str) -> YamlDocument:
    """Parse `raw`, named `path` in errors; raises `ConfigError` unless it is strict YAML."""
    text = _decode(raw, path)
    composer = _Composer(str(path))
    try:
        for event in yaml.parse(text, Loader=_Loader):
            composer.feed(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        reason = ", ".join(part for part in (error.problem, error.context) if part)
        raise ConfigError(path, line, "", f"is not valid YAML: {reason}", "Check indentation and quotes.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(path, None, "", f"is not valid YAML: {error}", "Check the whole file.") from error
    if not composer.documents:
        raise ConfigError(path, 1, "", "the file is empty", "Write at least one key.")
    return YamlDocument(str(path), composer.tree, composer.lines)


def _decode(raw: bytes, path: Path | str) -> str:
    """`raw` as text; raises `ConfigError` for another encoding, hidden characters or too many bytes."""
    if len(raw) > MAX_BYTES:
        raise ConfigError(path, None, "", f"the file is larger than {MAX_BYTES} bytes", "Split or shorten it.")
    if raw.startswith(_BYTE_ORDER_MARKS):
        raise ConfigError(path, 1, "", "the file has a byte order mark", "Save it as UTF-8 without one.")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(path, line, "", "the file is not UTF-8", "Save it as UTF-8.") from error
    if match := _HIDDEN.search(text):
        line = text.count("\n", 0, match.start()) + 1
        point = f"U+{ord(match.group()):04X}"
        raise ConfigError(path, line, "", f"the file has the hidden character {point}", "Delete it.")
    return text


@dataclass(slots=True)
class _OpenCollection:
    """A mapping or sequence that is being read; `key` is the mapping key whose value comes next."""

    value: dict[str, Any] | list[Any]
    path: KeyPath
    key: str | None = None


@dataclass(slots=True)
class _Composer:
    """Builds a tree from parser events without recursion, and refuses what is not strict YAML."""

    path: str
    tree: Any = None
    documents: int = 0
    lines: dict[KeyPath, int] = field(default_factory=dict)
    stack: list[_OpenCollection] = field(default_factory=list)

    def feed(self, event: yaml.Event) -> None:
        """Process the next event; raises `ConfigError`."""
        line = event.start_mark.line + 1 if event.start_mark else 1
        match event:
            case yaml.DocumentStartEvent():
                self._start_document(event, line)
            case yaml.AliasEvent():
                raise self._error(line, f"uses the alias *{event.anchor}", "Write the value out again.")
            case yaml.NodeEvent():
                self._start_node(event, line)
            case yaml.CollectionEndEvent():
                self.stack.pop()
            case _:
                pass

    def _start_document(self, event: yaml.DocumentStartEvent, line: int) -> None:
        self.documents += 1
        if self.documents > 1:
            raise self._error(line, "starts a second document", "Keep one document in a file.")
        if event.version or event.tags:
            raise self._error(line, "has a % directive", "Delete the line.")

    def _start_node(self, event: yaml.NodeEvent, line: int) -> None:
        if event.anchor is not None:
            raise self._error(line, f"has the anchor &{event.anchor}", "Write the value where it is needed.")
        if (tag := getattr(event, "tag", None)) is not None:
            raise self._error(line, f"has the tag {tag}", "Delete the tag; quote the value if it is text.")
        top = self.stack[-1] if self.stack else None
        if top is not None and isinstance(top.value, dict) and top.key is None:
            self._read_key(top, event, line)
            return
        path = self._next_path(top, line)
        if isinstance(event, yaml.ScalarEvent):
            self._add_value(top, self._scalar(event, path, line))
            return
        if len(self.stack) >= MAX_DEPTH:
            raise self._error(line, f"is nested deeper than {MAX_DEPTH}", "Flatten it.", ())
        inner: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._add_value(top, inner)
        self.stack.append(_OpenCollection(inner, path))

    def _next_path(self, top: _OpenCollection | None, line: int) -> KeyPath:
        """The key path of the value that comes next."""
        if top is None:
            path: KeyPath = ()
        elif isinstance(top.value, dict):
            return (*top.path, top.key or "")
        else:
            path = (*top.path, len(top.value))
        self.lines[path] = line
        return path

    def _add_value(self, top: _OpenCollection | None, value: Any) -> None:
        if top is None:
            self.tree = value
        elif isinstance(top.value, dict):
            top.value[top.key or ""] = value
            top.key = None
        else:
            top.value.append(value)

    def _read_key(self, top: _OpenCollection, event: yaml.NodeEvent, line: int) -> None:
        assert isinstance(top.value, dict)
        if not isinstance(event, yaml.ScalarEvent):
            raise self._error(line, "uses a list or a mapping as a key", "Use a word as the key.", top.path)
        if event.implicit[0] and event.value == "<<":
            raise self._error(line, "uses the merge key <<", "Write the keys out.", top.path)
        key = self._scalar(event, top.path, line)
        if not isinstance(key, str) or not key:
            shown = event.value or "nothing"
            raise self._error(line, f"has {shown} as a key", "Put quotes around the key.", top.path)
        path = (*top.path, key)
        if key in top.value:
            first = self.lines[path]
            raise self._error(line, f"appears twice, first on line {first}", "Delete one of them.", path)
        self.lines[path] = line
        top.key = key

    def _scalar(self, event: yaml.ScalarEvent, path: KeyPath, line: int) -> str | int | float | bool | None:
        """The value of a scalar: quoted scalars are text, plain ones resolve as the module docstring says."""
        text = event.value
        if not event.implicit[0]:
            return text
        if text in _OLD_BOOLS:
            mend = f'Write true or false, or "{text}" in quotes if it is text.'
            raise self._error(line, f"{text} can mean true or false or text", mend, path)
        if _LONG_INT.fullmatch(text):
            raise self._error(line, "the number is too large", "Put quotes around it if it is text.", path)
        if text in _NULLS:
            return None
        if text in _BOOLS:
            return _BOOLS[text]
        if _INT.fullmatch(text):
            return int(text)
        if any(c.isdigit() for c in text) and _FLOAT.fullmatch(text) and text.lstrip("+-")[:1] not in "eE":
            return float(text)
        return text

    def _error(self, line: int, message: str, mend: str, path: KeyPath | None = None) -> ConfigError:
        if path is None:
            top = self.stack[-1] if self.stack else None
            path = () if top is None else (*top.path, top.key) if top.key is not None else top.path
        return ConfigError(self.path, line, dotted(path), message, mend)
