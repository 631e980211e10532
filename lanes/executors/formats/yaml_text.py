"""How a value is spelled in YAML so that every reader takes it as what was meant."""

from __future__ import annotations

from ruamel.yaml.error import YAMLError

from core.edit import SetKey
from lanes.executors.formats.values import NUMBER, is_structure, wanted
from lanes.executors.formats.yaml_nodes import kinds, parse

_SHORT = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def spellings(edit: SetKey, old: object, style: str | None, plain: str | None) -> tuple[str, ...]:
    """The ways to write the edit's value, the best first.

    `old` is the value there, `style` its quotes, `plain` its spelling when it has none. A plain value of a
    type that only some readers know (`yes`, 0o644, a date) may become another plain value of that type.
    """
    if is_structure(edit):
        return (edit.value,)
    if plain is not None and not edit.quoted and _is_same_kind(plain, edit.value):
        return (edit.value,)
    meant = wanted(edit, old)
    if meant.literal is not None:
        return (_for_all_readers(meant.literal),)
    said = str(meant.value)
    quoted = (single(said), double(said)) if style == "'" else (double(said), single(said))
    usable = tuple(text for text in quoted if text)
    return usable if style in ("'", '"') or not plain_is_safe(said) else (said, *usable)


def key(name: str) -> str:
    """A key as it is written."""
    return name if plain_is_safe(name) else double(name)


def plain_is_safe(text: str) -> bool:
    """Whether every reader takes the text, written without quotes, as exactly this text."""
    if not text or text != text.strip() or not text.isprintable() or kinds(text):
        return False
    try:
        nodes = parse(f"- {text}")[0].members
    except (YAMLError, ValueError, IndexError):
        return False
    return len(nodes) == 1 and nodes[0].signature == ("scalar", text, True, None, None)


def double(text: str) -> str:
    """The text in double quotes."""
    return '"' + "".join(_SHORT.get(c) or (c if c.isprintable() else _escape(c)) for c in text) + '"'


def single(text: str) -> str:
    """The text in single quotes, or nothing when they cannot hold it."""
    return "'" + text.replace("'", "''") + "'" if text.isprintable() else ""


def _is_same_kind(old: str, new: str) -> bool:
    """Whether `new` is, like `old`, a value of a type that is not spelled in the usual way."""
    if NUMBER.fullmatch(new) or old.casefold() in ("true", "false"):
        return False
    if NUMBER.fullmatch(old):
        return bool(kinds(new, (1, 1)) & kinds(new, (1, 2)) & {"int", "float"})
    return bool(kinds(old) & kinds(new) - {"null"})


def _for_all_readers(literal: str) -> str:
    """1e3 as 1.0e+3, because YAML 1.1 readers take a number with an exponent for text unless it has both."""
    number, e, power = literal.casefold().partition("e")
    if not e or literal in ("true", "false"):
        return literal
    return f"{number if '.' in number else number + '.0'}e{power if power[0] in '+-' else '+' + power}"


def _escape(char: str) -> str:
    point = ord(char)
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
