"""Parses step conditions such as ``{flag}`` or ``{kind} == "major" and not {quiet}``; nothing is evaluated as code."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

MAX_CHARS: Final = 500
_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<name>\{[a-z][a-z0-9_]*\})|(?P<text>"[^"]*"|'[^']*')|(?P<sign>==|!=|\(|\))"""
    r"""|(?P<word>[A-Za-z0-9_.+-]+))"""
)
_TRUE: Final = "true"


@dataclass(frozen=True, slots=True)
class Condition:
    """A parsed condition: the parameters it names, and a function that evaluates it for their values."""

    names: frozenset[str]
    holds: Callable[[Mapping[str, str]], bool]


ALWAYS: Final = Condition(frozenset(), lambda _values: True)


def parse(text: str) -> Condition:
    """Parse a condition; an empty one is always true.

    ``or`` binds weakest, then ``and``, then ``not``; ``==`` and ``!=`` compare texts. A value on its own is true when
    it is ``true``.

    Raises:
        ValueError: The condition is invalid; the message says what is wrong.
    """
    if not text.strip():
        return ALWAYS
    if len(text) > MAX_CHARS:
        raise ValueError(f"is longer than {MAX_CHARS} characters")
    parser = _Parser(_tokens(text))
    holds = parser.parse_or(0)
    if parser.tokens:
        raise ValueError(f"has {parser.tokens[0]!r} where it should end")
    return Condition(frozenset(parser.names), holds)


def _tokens(text: str) -> list[str]:
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise ValueError(f"is invalid at {text[at:].strip()[:20]!r}")
        tokens.append(token.group().strip())
        at = token.end()
    return tokens


_Holds = Callable[[Mapping[str, str]], bool]
_Value = Callable[[Mapping[str, str]], str]
_MAX_DEPTH: Final = 20


class _Parser:
    """A recursive-descent parser over the tokens."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.names: set[str] = set()

    def _accept(self, word: str) -> bool:
        if self.tokens and self.tokens[0] == word:
            self.tokens.pop(0)
            return True
        return False

    def parse_or(self, depth: int) -> _Holds:
        left = self.parse_and(depth)
        while self._accept("or"):
            left = _or(left, self.parse_and(depth))
        return left

    def parse_and(self, depth: int) -> _Holds:
        left = self.parse_not(depth)
        while self._accept("and"):
            left = _and(left, self.parse_not(depth))
        return left

    def parse_not(self, depth: int) -> _Holds:
        if depth > _MAX_DEPTH:
            raise ValueError("is nested too deeply")
        if self._accept("not"):
            inner = self.parse_not(depth + 1)
            return lambda values: not inner(values)
        if self._accept("("):
            inner = self.parse_or(depth + 1)
            if not self._accept(")"):
                raise ValueError("has a bracket that is not closed")
            return inner
        left = self.parse_value()
        if self._accept("=="):
            return _same(left, self.parse_value())
        if self._accept("!="):
            same = _same(left, self.parse_value())
            return lambda values: not same(values)
        return lambda values: left(values) == _TRUE

    def parse_value(self) -> _Value:
        token = self.tokens.pop(0) if self.tokens else ""
        if token.startswith("{"):
            name = token[1:-1]
            self.names.add(name)
            return lambda values: values[name]
        if token[:1] in ("'", '"') and token:
            return lambda _values: token[1:-1]
        if not token or token in ("==", "!=", "(", ")", "and", "or", "not"):
            raise ValueError(f"has {token!r} where a value should be" if token else "ends too early")
        return lambda _values: token


def _or(left: _Holds, right: _Holds) -> _Holds:
    return lambda values: left(values) or right(values)


def _and(left: _Holds, right: _Holds) -> _Holds:
    return lambda values: left(values) and right(values)


def _same(left: _Value, right: _Value) -> _Holds:
    return lambda values: left(values) == right(values)
