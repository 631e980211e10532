"""Invented secrets that match an expression: what stands where a rule expects a secret, from a fixed seed."""

from __future__ import annotations

import hashlib
import random
import re
import warnings
from collections.abc import Callable
from re import _constants as op
from re import _parser as parser
from typing import Any, Final

_WORD: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
_CLASSES: Final = {
    op.CATEGORY_DIGIT: "0123456789",
    op.CATEGORY_WORD: _WORD,
    op.CATEGORY_SPACE: " ",
    op.CATEGORY_NOT_DIGIT: _WORD[:52],
    op.CATEGORY_NOT_WORD: " ",
    op.CATEGORY_NOT_SPACE: _WORD,
}
_POSIX: Final = {
    "[:alnum:]": "a-zA-Z0-9",
    "[:alpha:]": "a-zA-Z",
    "[:word:]": r"\w",
    "[:xdigit:]": "0-9a-f",
    r"\z": r"\Z",
}
_AROUND: Final = ("{}\n", 'key = "{}"\n', "x: 1\nvalue={}\n# end\n")
_LONG: Final = 12
"""A repetition of more characters gets exactly the fewest; a shorter one up to two more."""


def sample(name: str, regex: str, number: int) -> str:
    """A text with a secret that `regex` matches; the same for the same arguments."""
    source = random.Random(f"{name}{number}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # sets that Python may read as nested one day
        value = _generated(parser.parse(_for_python(regex)), source)
    return _AROUND[number % len(_AROUND)].replace("{}", value)


def is_held_out(name: str) -> bool:
    """True for the half of the kinds on which the choice of an engine was not made."""
    return hashlib.sha256(name.encode()).digest()[0] % 2 == 1


def _for_python(regex: str) -> str:
    """A Go or Rust expression for Python's parser; a flag that ignores case is left out, since any case matches it."""
    for theirs, ours in _POSIX.items():
        regex = regex.replace(theirs, ours)
    return re.sub(r"\(\?-?[imsx]+\)", "", re.sub(r"\(\?-[a-z]+:", "(?:", regex))


def _generated(tree: Any, source: random.Random) -> str:
    return "".join(_MAKERS.get(kind, _nothing)(value, source) for kind, value in tree)


def _nothing(_value: Any, _source: random.Random) -> str:
    return ""  # anchors and references


def _repeated(value: Any, source: random.Random) -> str:
    low, high, inner = value
    most = low if low > _LONG else min(int(high), low + 2)
    return "".join(_generated(inner, source) for _ in range(source.randint(low, max(low, most))))


def _letters(items: Any) -> list[str]:
    if items and items[0][0] is op.NEGATE:
        refused = set(_letters(items[1:]))
        return [c for c in _WORD if c not in refused] or [c for c in map(chr, range(32, 127)) if c not in refused]
    letters: list[str] = []
    for kind, value in items:
        if kind is op.LITERAL:
            letters.append(chr(value))
        elif kind is op.RANGE:
            letters.extend(map(chr, range(value[0], min(value[1], 126) + 1)))
        else:
            letters.extend(_CLASSES[value])
    return letters


_MAKERS: Final[dict[Any, Callable[[Any, random.Random], str]]] = {
    op.LITERAL: lambda value, _source: chr(value),
    op.NOT_LITERAL: lambda value, source: source.choice([c for c in _WORD if ord(c) != value]),
    op.ANY: lambda _value, source: source.choice(_WORD),
    op.IN: lambda value, source: source.choice(_letters(value)),
    op.BRANCH: lambda value, source: _generated(source.choice(value[1]), source),
    op.SUBPATTERN: lambda value, source: _generated(value[3], source),
    op.MAX_REPEAT: _repeated,
    op.MIN_REPEAT: _repeated,
}
