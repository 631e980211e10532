"""Spells values in YAML so that every reader, of version 1.1 or 1.2, reads what was meant."""

from __future__ import annotations

import re

from ruamel.yaml.error import YAMLError

from core.model.edits import SetKey
from lanes.executors.formats.values import NUMBER, is_structure, new_value, wrong_type
from lanes.executors.formats.yaml_nodes import parse, scalar_types

_NUMBERS = frozenset(("int", "float"))
_UNAMBIGUOUS = frozenset(("usual", "0x", "special"))
_POWER = re.compile(r"[0-9._]+e")
_SHORT = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def spellings(edit: SetKey, style: str | None, plain: str | None) -> tuple[str, ...]:
    """The spellings of the edit's value, best first; EditError when it does not have the current value's type.

    `style` is the current value's quotes, `plain` its spelling when it has none; both are None for a new key.
    """
    if is_structure(edit):
        return (edit.value,)
    if plain and not edit.quoted and _is_same_kind(plain, edit.value):
        is_equal = "null" in scalar_types(plain) or plain.casefold() == edit.value.casefold()
        return (plain if is_equal else edit.value,)
    value = new_value(edit, "" if style is not None else _sample_of_type(edit, plain), plain or "")
    if value.literal is not None:
        return (_portable_number(value.literal),)
    text = str(value.value)
    quoted = (single(text), double(text)) if style == "'" else (double(text), single(text))
    usable = tuple(spelling for spelling in quoted if spelling)
    return usable if style in ("'", '"') or not plain_is_safe(text) else (text, *usable)


def format_key(name: str) -> str:
    """The spelling of a key."""
    return name if plain_is_safe(name) else double(name)


def plain_is_safe(text: str) -> bool:
    """True if every reader reads the text, written without quotes, as exactly this text."""
    if not text or text != text.strip() or not text.isprintable() or scalar_types(text):
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
    """The text in single quotes, empty when they cannot hold it."""
    return "'" + text.replace("'", "''") + "'" if text.isprintable() else ""


def _sample_of_type(edit: SetKey, plain: str | None) -> object:
    """A value of the current value's type, as readers of YAML 1.1 or 1.2 see it."""
    types = scalar_types(plain) if plain else frozenset(("null",))
    if "null" in types:
        return None
    if "bool" in types and not _is_letter(plain):
        return True
    if "timestamp" in types and not edit.quoted and edit.value.casefold() != "null":
        raise wrong_type(edit, "a date", plain or "")
    # YAML 1.1 reads 22:22 as 1342 (base 60), but its author means text
    return 0 if types & _NUMBERS and ":" not in (plain or "") else ""


def _is_same_kind(old: str, new: str) -> bool:
    """True if every reader gives `new` the type of `old`, so that it can be written without quotes."""
    if old.casefold() in ("true", "false") and new.casefold() not in ("true", "false"):
        return False
    if _is_letter(old) != _is_letter(new):
        return False
    each = [(scalar_types(old, version), scalar_types(new, version)) for version in ((1, 1), (1, 2))]
    if all(was & _NUMBERS and now & _NUMBERS for was, now in each):
        return not NUMBER.fullmatch(new) and _notation(new) in (*_UNAMBIGUOUS, _notation(old))
    return any(was for was, _ in each) and all(was == now for was, now in each) and _notation(old) == _notation(new)


def _is_letter(plain: str | None) -> bool:
    """True for `y` and `n`, which are booleans in YAML 1.1 but for hardly any reader."""
    return plain is not None and plain.casefold() in ("y", "n")


def _notation(plain: str) -> str:
    """The notation of a number; readers disagree about the value of some notations."""
    bare = plain.casefold().lstrip("+-")
    if ":" in bare:
        return "base 60"
    if bare[:2] in ("0x", "0o", "0b"):
        return bare[:2]
    if "_" in bare:
        return "grouped"
    if bare.isdigit() and len(bare) > 1 and bare[0] == "0":
        return "old octal"
    if bare in (".inf", ".nan"):
        return "special"
    return "power" if _POWER.match(bare) else "usual"


def _portable_number(literal: str) -> str:
    """1e3 as 1.0e+3, because YAML 1.1 readers take an exponent without a point and a sign for text."""
    number, e, power = literal.casefold().partition("e")
    if not e or literal in ("true", "false"):
        return literal
    return f"{number if '.' in number else number + '.0'}e{power if power[0] in '+-' else '+' + power}"


def _escape(char: str) -> str:
    point = ord(char)
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
