"""Parses YAML into nodes with positions; aliases stay aliases and no objects are constructed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
)
from ruamel.yaml.resolver import implicit_resolvers

from lanes.executors.errors import EditError
from lanes.executors.formats.locate import FixedValue, ParsedMapping
from lanes.executors.formats.values import NUMBER

_MAX_DEPTH = 100
_TAG = "tag:yaml.org,2002:"
Signature = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class YamlNode:
    """One node: `[start, end)` in the text; `members` are a list's items or a mapping's keys and values in turn."""

    kind: str  # scalar, map, list or alias
    start: int
    end: int
    value: str = ""
    style: str | None = None  # None for plain, else one of ' " | >
    tag: str | None = None
    anchor: str | None = None
    flow: bool = False
    members: tuple[YamlNode, ...] = field(default=())

    @property
    def pairs(self) -> tuple[tuple[YamlNode, YamlNode], ...]:
        """A mapping's keys and values."""
        return tuple(zip(self.members[::2], self.members[1::2], strict=True)) if self.kind == "map" else ()

    @property
    def signature(self) -> Signature:
        """What a reader of the file sees of this node, without positions; equal signatures have equal meaning."""
        plain = self.kind == "scalar" and self.style is None
        return (self.kind, self.value, plain, self.tag, self.anchor, *(m.signature for m in self.members))


def read(text: str, path: str) -> tuple[YamlNode, ...]:
    """The documents of a YAML text; EditError names the line that cannot be read."""
    try:
        return parse(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}:{mark.line + 1}" if mark else path
        problem = f"{where} is not YAML: {error.problem or 'unreadable'}"
        raise EditError("unparsable_file", problem, "Fix the file first.") from None
    except (YAMLError, RecursionError, ValueError, AttributeError, TypeError, IndexError) as error:
        problem = f"{path} is not YAML: {' '.join(str(error).split())[:120]}"
        raise EditError("unparsable_file", problem, "Fix the file first.") from None


def parse(text: str) -> tuple[YamlNode, ...]:
    """The documents of a YAML text; raises what the parser raises."""
    events = iter(YAML(typ="safe", pure=True).parse(text))
    return tuple(_node(next(events), events, 0) for event in events if isinstance(event, DocumentStartEvent))


def scalar_types(plain: str, version: tuple[int, int] | None = None) -> frozenset[str]:
    """The types other than text that readers of YAML 1.1, 1.2 or either give a plain scalar: bool, int, null, ..."""
    types = set()
    for versions, tag, pattern, first in implicit_resolvers:
        if version is not None and version not in versions:
            continue
        if (plain[:1] in first or (not plain and "" in first)) and pattern.match(plain):
            types.add(str(tag).removeprefix(_TAG))
    return frozenset(types)


def shape(document: YamlNode) -> object:
    """The document as values for `locate`: mappings, lists, scalars, and `FixedValue` for what must not be changed."""
    anchors = {node.anchor: node for node in _descendants(document) if node.anchor}
    used = frozenset(node.value for node in _descendants(document) if node.kind == "alias")
    return _shape(document, anchors, used)


def _descendants(node: YamlNode) -> Iterator[YamlNode]:
    pending = [node]
    while pending:
        node = pending.pop()
        yield node
        pending.extend(node.members)


def _shape(node: YamlNode, anchors: dict[str, YamlNode], used: frozenset[str]) -> object:
    if node.kind == "alias":
        return FixedValue(f"is the alias *{node.value}, so its value is shared with other keys")
    if node.anchor in used:
        return FixedValue(f"has the anchor &{node.anchor}, so other keys would change with it")
    if node.tag is not None:
        return FixedValue(f"has the tag {node.tag}, which changes how its value is read")
    if node.kind == "list":
        return [_shape(item, anchors, used) for item in node.members]
    if node.kind == "scalar":
        return _scalar(node)
    pairs = [(key.value, _shape(value, anchors, used)) for key, value in node.pairs if key.kind == "scalar"]
    return ParsedMapping(pairs, _inherited(node, anchors, 0))


def _scalar(node: YamlNode) -> object:
    """A scalar as the value that a reader sees; text when in doubt."""
    kind = scalar_types(node.value) if node.style is None else frozenset()
    if "null" in kind:
        return None
    if "bool" in kind and node.value.casefold() not in ("y", "n"):
        return node.value.casefold() in ("true", "yes", "on")
    if kind & {"int", "float"} and NUMBER.fullmatch(node.value):
        return int(node.value) if node.value.lstrip("-").isdigit() else float(node.value)
    return node.value


def _inherited(node: YamlNode, anchors: dict[str, YamlNode], depth: int) -> frozenset[str]:
    """The keys that a mapping inherits through `<<`."""
    names: set[str] = set()
    for key, value in node.pairs:
        if key.value != "<<" or depth > 5:
            continue
        for source in value.members if value.kind == "list" else (value,):
            base = anchors.get(source.value) if source.kind == "alias" else source
            if base is not None and base.kind == "map":
                names |= {inner.value for inner, _ in base.pairs} | _inherited(base, anchors, depth + 1)
    return frozenset(names)


def _node(event: Any, events: Iterator[Any], depth: int) -> YamlNode:
    """The node that begins with `event`; reads its further events from `events`."""
    start, end = event.start_mark.index, event.end_mark.index
    if depth > _MAX_DEPTH:
        raise ValueError(f"nested deeper than {_MAX_DEPTH}")
    if isinstance(event, AliasEvent):
        return YamlNode("alias", start, end, str(event.anchor))
    tag = None if event.tag is None else str(event.tag)
    if isinstance(event, ScalarEvent):
        return YamlNode("scalar", start, end, event.value, event.style or None, tag, event.anchor)
    kind = "map" if isinstance(event, MappingStartEvent) else "list"
    members: list[YamlNode] = []
    inner = next(events)
    while not isinstance(inner, MappingEndEvent | SequenceEndEvent):
        members.append(_node(inner, events, depth + 1))
        inner = next(events)
    return YamlNode(
        kind, start, inner.end_mark.index, "", None, tag, event.anchor, bool(event.flow_style), tuple(members)
    )
