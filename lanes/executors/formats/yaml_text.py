"""How a value is spelled in YAML so that every reader takes it as what was meant."""

from __future__ import annotations

import re

from ruamel.yaml.error import YAMLError

from core.model.edits import SetKey
from lanes.executors.formats.values import NUMBER, is_structure, wanted, wrong_type
from lanes.executors.formats.yaml_nodes import kinds, parse

_NUMBERS = frozenset(("int", "float"))
_READ_ALIKE = frozenset(("usual", "0x", "special"))
_POWER = re.compile(r"[0-9._]+e")
_SHORT = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def spellings(edit: SetKey, style: str | None, plain: str | None) -> tuple[str, ...]:
    """The ways to write the edit's value, the best first; EditError when it is not of the old value's type.

    `style` is the old value's quotes, `plain` its spelling when it has none; both are None for a new key.
    """
    if is_structure(edit):
        return (edit.value,)
    if plain and not edit.quoted and _is_same_kind(plain, edit.value):
        says_so_already = "null" in kinds(plain) or plain.casefold() == edit.value.casefold()
        return (plain if says_so_already else edit.value,)
    meant = wanted(edit, "" if style is not None else _old(edit, plain), plain or "")
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


def _old(edit: SetKey, plain: str | None) -> object:
    """A value of the old one's type, as any reader of YAML 1.1 or 1.2 takes it."""
    found = kinds(plain) if plain else frozenset(("null",))
    if "null" in found:
        return None
    if "bool" in found and not _is_letter(plain):
        return True
    if "timestamp" in found and not edit.quoted and edit.value.casefold() != "null":
        raise wrong_type(edit, "a date", plain or "")
    # 22:22 is 1342 for readers of YAML 1.1; whoever writes it means text
    return 0 if found & _NUMBERS and ":" not in (plain or "") else ""


def _is_same_kind(old: str, new: str) -> bool:
    """Whether every reader takes `new` for a value of `old`'s type, so that it can be written as it is."""
    if old.casefold() in ("true", "false") and new.casefold() not in ("true", "false"):
        return False
    if _is_letter(old) != _is_letter(new):
        return False
    each = [(kinds(old, version), kinds(new, version)) for version in ((1, 1), (1, 2))]
    if all(was & _NUMBERS and now & _NUMBERS for was, now in each):
        return not NUMBER.fullmatch(new) and _family(new) in (*_READ_ALIKE, _family(old))
    return any(was for was, _ in each) and all(was == now for was, now in each) and _family(old) == _family(new)


def _is_letter(plain: str | None) -> bool:
    """Whether it is `y` or `n`, which YAML 1.1 calls true and false and nearly no reader does."""
    return plain is not None and plain.casefold() in ("y", "n")


def _family(plain: str) -> str:
    """How a number is spelled; not all spellings are the same number for all readers."""
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


def _for_all_readers(literal: str) -> str:
    """1e3 as 1.0e+3, because YAML 1.1 readers take a number with an exponent for text unless it has both."""
    number, e, power = literal.casefold().partition("e")
    if not e or literal in ("true", "false"):
        return literal
    return f"{number if '.' in number else number + '.0'}e{power if power[0] in '+-' else '+' + power}"


def _escape(char: str) -> str:
    point = ord(char)
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
