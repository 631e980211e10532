"""Conditions of steps: ``{flag}``, ``{kind} == "major" and not {quiet}``; read by a parser of our own, never run."""

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
    """A condition that was read: the parameters it names, and whether it holds for their values."""

    names: frozenset[str]
    holds: Callable[[Mapping[str, str]], bool]


ALWAYS: Final = Condition(frozenset(), lambda _values: True)


def parse(text: str) -> Condition:
    """The condition that `text` says; raises `ValueError` with what is wrong with it. An empty one always holds.

    ``or`` binds weakest, then ``and``, then ``not``; ``==`` and ``!=`` compare texts. A value alone holds when it is
    ``true``.
    """
    if not text.strip():
        return ALWAYS
    if len(text) > MAX_CHARS:
        raise ValueError(f"is longer than {MAX_CHARS} characters")
    reading = _Reading(_tokens(text))
    holds = reading.either(0)
    if reading.rest:
        raise ValueError(f"has {reading.rest[0]!r} where it should end")
    return Condition(frozenset(reading.names), holds)


def _tokens(text: str) -> list[str]:
    found, at = [], 0
    text = text.rstrip()
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise ValueError(f"cannot be read from {text[at:].strip()[:20]!r} on")
        found.append(token.group().strip())
        at = token.end()
    return found


_Holds = Callable[[Mapping[str, str]], bool]
_Value = Callable[[Mapping[str, str]], str]
_MAX_DEPTH: Final = 20


class _Reading:
    """One recursive descent over the tokens; each method reads what its name says and leaves the rest."""

    def __init__(self, tokens: list[str]) -> None:
        self.rest = tokens
        self.names: set[str] = set()

    def _takes(self, word: str) -> bool:
        if self.rest and self.rest[0] == word:
            self.rest.pop(0)
            return True
        return False

    def either(self, depth: int) -> _Holds:
        first = self.both(depth)
        while self._takes("or"):
            first = _or(first, self.both(depth))
        return first

    def both(self, depth: int) -> _Holds:
        first = self.one(depth)
        while self._takes("and"):
            first = _and(first, self.one(depth))
        return first

    def one(self, depth: int) -> _Holds:
        if depth > _MAX_DEPTH:
            raise ValueError("is nested too deeply")
        if self._takes("not"):
            inner = self.one(depth + 1)
            return lambda values: not inner(values)
        if self._takes("("):
            inner = self.either(depth + 1)
            if not self._takes(")"):
                raise ValueError("has a bracket that is not closed")
            return inner
        left = self.value()
        if self._takes("=="):
            return _same(left, self.value())
        if self._takes("!="):
            same = _same(left, self.value())
            return lambda values: not same(values)
        return lambda values: left(values) == _TRUE

    def value(self) -> _Value:
        token = self.rest.pop(0) if self.rest else ""
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
