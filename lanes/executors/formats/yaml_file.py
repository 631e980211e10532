"""Sets a key in a YAML file by changing only the characters of its value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ruamel.yaml.error import YAMLError

from core.model.edits import SetKey
from lanes.executors.errors import EditError
from lanes.executors.formats.locate import KeyLocation, KeyPath, locate, value_at
from lanes.executors.formats.values import check_was, end_of_line, is_structure, newline_of, refuse_group
from lanes.executors.formats.yaml_nodes import Signature, YamlNode, parse, read, shape
from lanes.executors.formats.yaml_text import format_key as spelled_key
from lanes.executors.formats.yaml_text import plain_is_safe, spellings

_ANCHOR = re.compile(r"&[^\s,\[\]{}]+\s*")
_ANCHORED = 4  # the anchor's index in a signature
_EMPTY_MAP: Signature = ("map", "", False, None, None)


@dataclass(frozen=True, slots=True)
class _Target:
    """The location of the key: the nodes down to it, the index of each in its parent, and the current value."""

    documents: tuple[YamlNode, ...]
    document: int
    nodes: tuple[YamlNode, ...]
    steps: tuple[int, ...]
    missing: tuple[str, ...]
    old: object

    @property
    def node(self) -> YamlNode:
        """The current value, or the node that lacks the key."""
        return self.nodes[-1]

    @property
    def key(self) -> YamlNode | None:
        """The node's key if the node is a mapping's value, else None."""
        in_map = len(self.nodes) > 1 and self.nodes[-2].kind == "map"
        return self.nodes[-2].members[self.steps[-1] - 1] if in_map else None


def set_key(text: str, edit: SetKey) -> str:
    """The text with one key set and every other character unchanged; EditError when that is not possible."""
    documents = read(text, edit.path) or (YamlNode("map", 0, 0),)
    target = _find(documents, edit)
    if is_structure(edit):
        _check_structure(edit)
    candidates = _insertions(text, edit, target) if target.missing else _replacements(text, edit, target)
    for candidate, spelling in candidates:
        try:
            value = parse("- " + spelling)[0].members[0].signature
            if tuple(document.signature for document in parse(candidate)) == _expected(target, value):
                return candidate
        except (YAMLError, ValueError, IndexError):
            continue
    raise EditError(
        "unsupported_format",
        f"{edit.key} cannot be set in {edit.path} without changing other values",
        f'Say: replace "old text" with "new text" in {edit.path}.',
    )


def _check_structure(edit: SetKey) -> None:
    try:
        nodes = parse("- " + edit.value)[0].members
    except (YAMLError, ValueError, IndexError):
        nodes = ()
    if len(nodes) != 1 or not nodes[0].flow:
        raise EditError("bad_value", f"{edit.value[:60]} is not a list or a mapping", "Quote it to make it text.")


def _find(documents: tuple[YamlNode, ...], edit: SetKey) -> _Target:
    """The edit's location in the one document that has it."""
    locations: list[tuple[int, object, KeyLocation]] = []
    refused: EditError | None = None
    for number, document in enumerate(documents):
        values = shape(document)
        try:
            locations.append((number, values, locate(values, edit)))
        except EditError as error:
            refused = refused or error
    existing = [match for match in locations if not match[2].missing]
    if refused is not None and not existing:
        raise refused
    if len(existing) > 1 or (not existing and len(documents) > 1):
        how = "no document" if not existing else "more than one document"
        message = f"{edit.path} holds {len(documents)} documents and {how} with {edit.key}"
        raise EditError("ambiguous", message, f'Say: replace "old text" with "new text" in {edit.path}.')
    number, values, location = existing[0] if existing else locations[0]
    old = value_at(values, location.path)
    nodes, steps = _down(documents[number], location.path)
    if not location.missing:
        refuse_group(edit, old)
        check_was(edit, old, nodes[-1].value)
    return _Target(documents, number, nodes, steps, location.missing, old)


def _down(root: YamlNode, path: KeyPath) -> tuple[tuple[YamlNode, ...], tuple[int, ...]]:
    nodes, steps = [root], []
    for step in path:
        if isinstance(step, int):
            steps.append(step)
        else:
            steps.append(next(2 * i + 1 for i, (key, _) in enumerate(nodes[-1].pairs) if key.value == step))
        nodes.append(nodes[-1].members[steps[-1]])
    return tuple(nodes), tuple(steps)


def _expected(target: _Target, value: Signature) -> tuple[Signature, ...]:
    """The documents' signatures with the new value in place and nothing else changed."""
    signature = value
    if target.missing:
        for name in reversed(target.missing[1:]):
            signature = (*_EMPTY_MAP, _key_signature(name), signature)
        parent = target.node.signature if target.node.kind == "map" else _EMPTY_MAP
        signature = (*parent, _key_signature(target.missing[0]), signature)
    else:
        signature = (*value[:_ANCHORED], target.node.anchor, *value[_ANCHORED + 1 :])
    for node, step in zip(reversed(target.nodes[:-1]), reversed(target.steps), strict=True):
        whole = node.signature
        index = len(whole) - len(node.members) + step
        signature = (*whole[:index], signature, *whole[index + 1 :])
    documents = [document.signature for document in target.documents]
    documents[target.document] = signature
    return tuple(documents)


def _key_signature(name: str) -> Signature:
    return ("scalar", name, plain_is_safe(name), None, None)


def _replacements(text: str, edit: SetKey, target: _Target) -> Iterator[tuple[str, str]]:
    """The text with the value replaced, for each spelling of the new value."""
    node = target.node
    start = node.start + (len(mark[0]) if (mark := _ANCHOR.match(text, node.start, node.end)) else 0)
    current = text[start : node.end]
    if node.kind != "scalar" and (not node.flow or "\n" in current):
        message = f"{edit.key} in {edit.path} is written over several lines"
        raise EditError("bad_value", message, "Name an item or a key inside it.")
    plain = node.value if node.kind == "scalar" and node.style is None else None
    for spelling in spellings(edit, node.style, plain):
        if spelling == plain or (node.style in ("'", '"') and node.value == edit.value):
            yield text, current
        elif node.start == node.end:
            if target.key is not None and (colon := text.find(":", target.key.end)) >= 0:
                yield text[: colon + 1] + " " + spelling + text[colon + 1 :], spelling
        elif node.style in ("|", ">"):
            header, trailing_space = current.partition("\n")[0], current[len(current.rstrip()) :]
            comment = " " + header[header.find("#") :].rstrip() if " #" in header else ""
            yield text[:start] + spelling + comment + trailing_space + text[node.end :], spelling
        else:
            gap = " " if current == "" else ""  # an anchor with nothing after it
            yield text[:start] + gap + spelling + text[node.end :], spelling


def _insertions(text: str, edit: SetKey, target: _Target) -> Iterator[tuple[str, str]]:
    """The text with a new key after the last one of the mapping, or as the first of an empty one."""
    node, step = target.node, _indentation(text, target.documents)
    if node.kind == "map" and node.flow:
        yield from _into_flow(text, edit, target)
    elif node.kind == "map" and node.members:
        position = end_of_line(text, _last_end(text, node))
        yield from _as_lines(text, edit, target, position, _column(text, node.members[0].start), step)
    elif target.key is not None:
        position = end_of_line(text, target.key.end)
        yield from _as_lines(text, edit, target, position, _column(text, target.key.start) + step, step)
    elif len(target.nodes) == 1:
        body = text if not text or text.endswith("\n") else text + newline_of(text)
        yield from _as_lines(body, edit, target, len(body), 0, step)


def _as_lines(
    text: str, edit: SetKey, target: _Target, position: int, column: int, step: int
) -> Iterator[tuple[str, str]]:
    """The text with the new key on its own lines, after the line that ends at `position`."""
    line_end = newline_of(text)
    keys = [" " * (column + step * depth) + spelled_key(n) + ":" for depth, n in enumerate(target.missing)]
    starts_line = position == 0 or text[position - 1] == "\n"
    for spelling in spellings(edit, None, None):
        block = line_end.join(keys) + " " + spelling
        added = block + line_end if starts_line else line_end + block
        yield text[:position] + added + text[position:], spelling


def _into_flow(text: str, edit: SetKey, target: _Target) -> Iterator[tuple[str, str]]:
    node, names = target.node, [spelled_key(name) for name in target.missing]
    for spelling in spellings(edit, None, None):
        member = ": {".join(names) + ": " + spelling + "}" * (len(names) - 1)
        if node.members:
            last = node.members[-1]
            position = last.end if last.start < last.end else text.find(":", node.members[-2].end) + 1
            yield text[:position] + ", " + member + text[position:], spelling
        else:
            yield text[: node.start] + "{" + member + "}" + text[node.end :], spelling


def _last_end(text: str, node: YamlNode) -> int:
    """The end position of a node, without the comments and blank lines after it."""
    while node.kind in ("map", "list") and not node.flow and node.members:
        last = node.members[-1]
        if last.start == last.end:  # a key without a value ends at its colon
            return node.members[-2].end if node.kind == "map" else last.start
        node = last
    return node.start + len(text[node.start : node.end].rstrip()) if node.style in ("|", ">") else node.end


def _indentation(text: str, documents: tuple[YamlNode, ...]) -> int:
    """The indentation of nested mappings, from the file's first one; else two."""
    pending = list(documents)
    for node in pending:
        for key, value in node.pairs:
            if value.kind == "map" and not value.flow and value.members:
                return max(_column(text, value.members[0].start) - _column(text, key.start), 1)
            pending.append(value)
        if node.kind == "list":
            pending.extend(node.members)
    return 2


def _column(text: str, position: int) -> int:
    return position - text.rfind("\n", 0, position) - 1
