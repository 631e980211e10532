"""One name for each combination of part patterns that a name can match, such as README.md for ``README*`` and ``*.md``.

The patterns are walked together, one character at a time: a state says where in each pattern a name may be by now, and
characters that no pattern names are all alike. So the search is finite, and it finds the shortest name first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from policies.globs import fold
from policies.witness_search import witnesses

_OTHERS: Final = "xyzqwvjk0"
"""Characters to stand for those that no pattern names."""

Token = Callable[[str], bool] | None
"""Whether a character fits at this place of a pattern; None for a star."""
_Positions = frozenset[int]


@dataclass(frozen=True, slots=True)
class PartPattern:
    """A part of a glob, compiled for walking; between two of its `characters` all are alike to it."""

    tokens: tuple[Token, ...]
    characters: frozenset[str]
    is_folded: bool = False

    @classmethod
    def of(cls, part: str, *, is_folded: bool = False) -> PartPattern:
        """Compile `part`, which has no ``/`` and whose brackets are closed; a folded one matches folded names."""
        tokens: list[Token] = []
        characters: set[str] = set()
        at = 0
        while at < len(part):
            char = part[at]
            at += 1
            if char == "*":
                tokens.append(None)
            elif char == "?":
                tokens.append(_any)
            elif char == "[":
                end = part.index("]", at + 2 if part[at : at + 1] in {"!", "^"} else at + 1)
                ranges, is_negated = _ranges(part[at:end])
                characters |= {edge for low, high in ranges for edge in (low, high, chr(ord(high) + 1))}
                tokens.append(_bracket(ranges, is_negated=is_negated))
                at = end + 1
            else:
                characters.add(char)
                tokens.append(char.__eq__)
        if is_folded:
            characters |= {char.upper() for char in characters if len(char.upper()) == 1}
        return cls(tuple(tokens), frozenset(characters), is_folded)

    def start(self) -> _Positions:
        """Where a name may be before its first character."""
        return self._past_stars({0})

    def step(self, positions: _Positions, char: str) -> _Positions:
        """Where it may be after one more character."""
        after: set[int] = set()
        char = fold(char) if self.is_folded else char
        for at in positions:
            if at == len(self.tokens):
                continue
            token = self.tokens[at]
            if token is None:
                after.add(at)
            elif token(char):
                after.add(at + 1)
        return self._past_stars(after)

    def accepts(self, positions: _Positions) -> bool:
        """Whether the whole pattern may have been matched."""
        return len(self.tokens) in positions

    def _past_stars(self, positions: set[int]) -> _Positions:
        reached = set(positions)
        for at in positions:
            while at < len(self.tokens) and self.tokens[at] is None:
                at += 1  # noqa: PLW2901 - a star may stand for nothing
                reached.add(at)
        return frozenset(reached)


def part_witnesses(parts: Iterable[str], folded: Iterable[str] = ()) -> list[str]:
    """A shortest name for each combination of these parts that a name can match, none of them included.

    Those in `folded` are folded, and match names in any case. Raises `TooManyCombinationsError` if there are more than
    20,000 states to look at.
    """
    patterns = [PartPattern.of(part) for part in dict.fromkeys(parts)]
    patterns += [PartPattern.of(part, is_folded=True) for part in dict.fromkeys(folded)]
    return witnesses(patterns, _alphabet(patterns), never=frozenset({".", ".."}))


def _alphabet(patterns: Sequence[PartPattern]) -> list[str]:
    named = frozenset().union(*(pattern.characters for pattern in patterns))
    other = next((char for char in _OTHERS if char not in named), None)
    if other is None:
        other = next(chr(point) for point in range(0x61, 0x10000) if chr(point) not in named and chr(point).isalnum())
    usable = (char for char in named - {other, "/"} if char.isprintable())
    return [other, *sorted(usable, key=lambda char: (char.isupper(), char))]


def _any(_char: str) -> bool:
    return True


def _bracket(ranges: Sequence[tuple[str, str]], *, is_negated: bool) -> Token:
    return lambda char: any(low <= char <= high for low, high in ranges) is not is_negated


def _ranges(inner: str) -> tuple[list[tuple[str, str]], bool]:
    """The first and last characters of what a bracket lists, and whether it is negated."""
    is_negated = inner[0] in "!^"
    text = inner[1:] if is_negated else inner
    ranges: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        is_range = text[at + 1 : at + 2] == "-" and at + 2 < len(text)
        ranges.append((text[at], text[at + 2] if is_range else text[at]))
        at += 3 if is_range else 1
    return ranges, is_negated
