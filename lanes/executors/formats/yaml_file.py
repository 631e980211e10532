"""Setting a key in a YAML file by changing only that value's characters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ruamel.yaml.error import YAMLError

from core.model.edits import SetKey
from lanes.executors.errors import EditError
from lanes.executors.formats.place import KeyPosition, Path, at, locate
from lanes.executors.formats.values import check_was, end_of_line, is_structure, newline_of, refuse_group
from lanes.executors.formats.yaml_nodes import Signature, YamlNode, parse, read, shape
from lanes.executors.formats.yaml_text import key as spelled_key
from lanes.executors.formats.yaml_text import plain_is_safe, spellings

_ANCHOR = re.compile(r"&[^\s,\[\]{}]+\s*")
_ANCHORED = 4  # where a signature tells the anchor
_EMPTY_MAP: Signature = ("map", "", False, None, None)


@dataclass(frozen=True, slots=True)
class _Found:
    """The place of the key: the nodes down to it, the index of each among its parent's members, the old value."""

    documents: tuple[YamlNode, ...]
    document: int
    nodes: tuple[YamlNode, ...]
    steps: tuple[int, ...]
    missing: tuple[str, ...]
    old: object

    @property
    def node(self) -> YamlNode:
        """The value that is there, or what lacks the key."""
        return self.nodes[-1]

    @property
    def key(self) -> YamlNode | None:
        """The key before the node, when the node is a mapping's value."""
        in_map = len(self.nodes) > 1 and self.nodes[-2].kind == "map"
        return self.nodes[-2].members[self.steps[-1] - 1] if in_map else None


def set_key(text: str, edit: SetKey) -> str:
    """The YAML text with one key set, every other character kept; EditError when that cannot be."""
    documents = read(text, edit.path) or (YamlNode("map", 0, 0),)
    found = _find(documents, edit)
    if is_structure(edit):
        _check_structure(edit)
    tries = _insertions(text, edit, found) if found.missing else _replacements(text, edit, found)
    for after, spelling in tries:
        try:
            value = parse("- " + spelling)[0].members[0].signature
            if tuple(document.signature for document in parse(after)) == _expected(found, value):
                return after
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


def _find(documents: tuple[YamlNode, ...], edit: SetKey) -> _Found:
    """The edit's place in the one document that has it."""
    places: list[tuple[int, object, KeyPosition]] = []
    refused: EditError | None = None
    for number, document in enumerate(documents):
        seen = shape(document)
        try:
            places.append((number, seen, locate(seen, edit)))
        except EditError as error:
            refused = refused or error
    there = [found for found in places if not found[2].missing]
    if refused is not None and not there:
        raise refused
    if len(there) > 1 or (not there and len(documents) > 1):
        how = "no document" if not there else "more than one document"
        message = f"{edit.path} holds {len(documents)} documents and {how} with {edit.key}"
        raise EditError("ambiguous", message, f'Say: replace "old text" with "new text" in {edit.path}.')
    number, seen, place = there[0] if there else places[0]
    old = at(seen, place.path)
    nodes, steps = _down(documents[number], place.path)
    if not place.missing:
        refuse_group(edit, old)
        check_was(edit, old, nodes[-1].value)
    return _Found(documents, number, nodes, steps, place.missing, old)


def _down(root: YamlNode, path: Path) -> tuple[tuple[YamlNode, ...], tuple[int, ...]]:
    nodes, steps = [root], []
    for step in path:
        if isinstance(step, int):
            steps.append(step)
        else:
            steps.append(next(2 * i + 1 for i, (key, _) in enumerate(nodes[-1].pairs) if key.value == step))
        nodes.append(nodes[-1].members[steps[-1]])
    return tuple(nodes), tuple(steps)


def _expected(found: _Found, value: Signature) -> tuple[Signature, ...]:
    """The documents' signatures with the one value in its place and nothing else changed."""
    signature = value
    if found.missing:
        for name in reversed(found.missing[1:]):
            signature = (*_EMPTY_MAP, _key_signature(name), signature)
        parent = found.node.signature if found.node.kind == "map" else _EMPTY_MAP
        signature = (*parent, _key_signature(found.missing[0]), signature)
    else:
        signature = (*value[:_ANCHORED], found.node.anchor, *value[_ANCHORED + 1 :])
    for node, step in zip(reversed(found.nodes[:-1]), reversed(found.steps), strict=True):
        whole = node.signature
        index = len(whole) - len(node.members) + step
        signature = (*whole[:index], signature, *whole[index + 1 :])
    documents = [document.signature for document in found.documents]
    documents[found.document] = signature
    return tuple(documents)


def _key_signature(name: str) -> Signature:
    return ("scalar", name, plain_is_safe(name), None, None)


def _replacements(text: str, edit: SetKey, found: _Found) -> Iterator[tuple[str, str]]:
    """The text with the value's characters exchanged, for each spelling of the new value."""
    node = found.node
    start = node.start + (len(mark[0]) if (mark := _ANCHOR.match(text, node.start, node.end)) else 0)
    was = text[start : node.end]
    if node.kind != "scalar" and (not node.flow or "\n" in was):
        message = f"{edit.key} in {edit.path} is written over several lines"
        raise EditError("bad_value", message, "Name an item or a key inside it.")
    plain = node.value if node.kind == "scalar" and node.style is None else None
    for spelling in spellings(edit, node.style, plain):
        if spelling == plain or (node.style in ("'", '"') and node.value == edit.value):
            yield text, was
        elif node.start == node.end:
            if found.key is not None and (colon := text.find(":", found.key.end)) >= 0:
                yield text[: colon + 1] + " " + spelling + text[colon + 1 :], spelling
        elif node.style in ("|", ">"):
            header, kept = was.partition("\n")[0], was[len(was.rstrip()) :]
            comment = " " + header[header.find("#") :].rstrip() if " #" in header else ""
            yield text[:start] + spelling + comment + kept + text[node.end :], spelling
        else:
            gap = " " if was == "" else ""  # an anchor with nothing after it
            yield text[:start] + gap + spelling + text[node.end :], spelling


def _insertions(text: str, edit: SetKey, found: _Found) -> Iterator[tuple[str, str]]:
    """The text with a new key after the last one of the mapping, or as the first of an empty one."""
    node, step = found.node, _indentation(text, found.documents)
    if node.kind == "map" and node.flow:
        yield from _into_flow(text, edit, found)
    elif node.kind == "map" and node.members:
        place = end_of_line(text, _last_end(text, node))
        yield from _as_lines(text, edit, found, place, _column(text, node.members[0].start), step)
    elif found.key is not None:
        place = end_of_line(text, found.key.end)
        yield from _as_lines(text, edit, found, place, _column(text, found.key.start) + step, step)
    elif len(found.nodes) == 1:
        body = text if not text or text.endswith("\n") else text + newline_of(text)
        yield from _as_lines(body, edit, found, len(body), 0, step)


def _as_lines(text: str, edit: SetKey, found: _Found, place: int, column: int, step: int) -> Iterator[tuple[str, str]]:
    """The text with the new key on lines of its own, after the line that ends at `place`."""
    line_end = newline_of(text)
    keys = [" " * (column + step * depth) + spelled_key(n) + ":" for depth, n in enumerate(found.missing)]
    starts_line = place == 0 or text[place - 1] == "\n"
    for spelling in spellings(edit, None, None):
        block = line_end.join(keys) + " " + spelling
        added = block + line_end if starts_line else line_end + block
        yield text[:place] + added + text[place:], spelling


def _into_flow(text: str, edit: SetKey, found: _Found) -> Iterator[tuple[str, str]]:
    node, names = found.node, [spelled_key(name) for name in found.missing]
    for spelling in spellings(edit, None, None):
        member = ": {".join(names) + ": " + spelling + "}" * (len(names) - 1)
        if node.members:
            last = node.members[-1]
            place = last.end if last.start < last.end else text.find(":", node.members[-2].end) + 1
            yield text[:place] + ", " + member + text[place:], spelling
        else:
            yield text[: node.start] + "{" + member + "}" + text[node.end :], spelling


def _last_end(text: str, node: YamlNode) -> int:
    """Where the last character of a node is, comments and blank lines after it not counted."""
    while node.kind in ("map", "list") and not node.flow and node.members:
        last = node.members[-1]
        if last.start == last.end:  # a key without a value ends where it is written
            return node.members[-2].end if node.kind == "map" else last.start
        node = last
    return node.start + len(text[node.start : node.end].rstrip()) if node.style in ("|", ">") else node.end


def _indentation(text: str, documents: tuple[YamlNode, ...]) -> int:
    """By how many columns nested mappings are indented, as the file's first one tells; else two."""
    waiting = list(documents)
    for node in waiting:
        for key, value in node.pairs:
            if value.kind == "map" and not value.flow and value.members:
                return max(_column(text, value.members[0].start) - _column(text, key.start), 1)
            waiting.append(value)
        if node.kind == "list":
            waiting.extend(node.members)
    return 2


def _column(text: str, place: int) -> int:
    return place - text.rfind("\n", 0, place) - 1
