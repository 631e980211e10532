"""Anchored globs over git's paths: bytes, ``/`` between parts, matched from the repository's root.

The syntax is gitignore's without its pitfalls (security.md 50-52):
``docs/**`` is everything inside ``docs``; ``**/*.md`` is every such file at any depth, the root included;
``*.toml`` and ``/*.toml`` are files of the root only, where gitignore would let the pattern float;
``*`` and ``?`` never cross a ``/``; ``[a-z]`` and ``[!a-z]`` are one character. A pattern that ends in ``/``,
begins with ``!``, or has a backslash or an empty, ``.`` or ``..`` part is refused by `check`.

A *write* pattern covers exactly the paths that it matches, byte for byte. A *deny* pattern also covers everything
below them, the folder itself for ``folder/**``, and every other spelling that some file system or forge treats as
the same name: see `spellings`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

MAX_PATTERN_CHARS: Final = 512
_STARS: Final = "**"
_FLOATING: Final = "**/"  # not a possible part of a path: the key of patterns like **/*.pth, which any part may match
_ACCENTS: Final = frozenset({"Mn", "Me"})
# Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties.txt: invisible; HFS+ drops several of them.
_IGNORABLE_RANGES: Final = (
    (0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C), (0x115F, 0x1160), (0x17B4, 0x17B5),
    (0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164),
    (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip


def is_ignorable(char: str) -> bool:
    """True for an invisible code point, with and without which two names look the same."""
    point = ord(char)
    return point >= 0xAD and any(low <= point <= high for low, high in _IGNORABLE_RANGES)


def check(pattern: str) -> str | None:
    """Why `pattern` is not a valid anchored glob, as the end of a sentence; None if it is valid."""
    if not pattern or len(pattern) > MAX_PATTERN_CHARS:
        return f"must have 1 to {MAX_PATTERN_CHARS} characters"
    if pattern.endswith("/"):
        return f"ends in '/', which would float; write {pattern.lstrip('/')}** for everything inside"
    if pattern.startswith("!"):
        return "begins with '!', which negates; patterns only add paths"
    if "\\" in pattern or any(not c.isprintable() or is_ignorable(c) for c in pattern):
        return "has a backslash or an invisible character"
    parts = pattern.removeprefix("/").split("/")
    if any(part in {"", ".", ".."} for part in parts):
        return "has an empty, '.' or '..' part"
    if any(_STARS in part and part != _STARS for part in parts):
        return "has '**' next to other characters; it must stand alone between two '/'"
    try:
        compiled(pattern)
    except (re.error, ValueError):
        return "has a bracket that is not closed"
    return None


@dataclass(frozen=True, slots=True)
class Globs:
    """Several patterns that are matched together; raises `ValueError` for one that does not pass `check`."""

    patterns: tuple[str, ...]
    _denying: Mapping[str | None, tuple[str, ...]] = field(init=False, repr=False, compare=False)
    _floating: re.Pattern[str] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        denying: dict[str | None, tuple[str, ...]] = {}
        for pattern in self.patterns:
            if problem := check(pattern):
                raise ValueError(f"the pattern {pattern!r} {problem}")
            literal = _literal_part(pattern)
            denying[literal] = (*denying.get(literal, ()), pattern)
        floating = [p for p in denying.get(None, ()) if p.startswith("**/") and "/" not in p[3:]]
        denying[None] = tuple(p for p in denying.get(None, ()) if p not in floating)
        denying[_FLOATING] = tuple(floating)
        any_of = "|".join(f"(?:{_part_regex(fold(p[3:]))})" for p in floating)
        object.__setattr__(self, "_denying", denying)
        object.__setattr__(self, "_floating", re.compile(any_of, re.DOTALL) if floating else None)

    def covers(self, path: bytes) -> str | None:
        """The first pattern that matches `path` byte for byte, for write patterns; None if none does."""
        parts = _decode(path).split("/")
        if any(part in {"", ".", ".."} for part in parts):
            return None
        return next((p for p in self.patterns if _match(compiled(p), parts)), None)

    def denies(self, path: bytes) -> str | None:
        """A pattern that covers `path` in any spelling, for deny patterns; None if none does."""
        for text in spellings(path):
            parts = text.split("/")
            is_floating = self._floating is not None and any(map(self._floating.fullmatch, parts))
            for literal in (None, *parts, *((_FLOATING,) if is_floating else ())):
                for pattern in self._denying.get(literal, ()):
                    if _falls_under(pattern, parts):
                        return pattern
        return None


def _falls_under(pattern: str, parts: Sequence[str]) -> bool:
    """True if `parts`, or a folder above them, match the deny pattern."""
    rules = compiled_deny(pattern)
    return any(_match(rule, parts[:end]) for end in range(len(parts), 0, -1) for rule in rules)


def _literal_part(pattern: str) -> str | None:
    """The longest part of `pattern` without wildcards, folded; every path under the pattern has that part."""
    plain = [part for part in fold(pattern).split("/") if not set("*?[") & set(part)]
    return max(plain, key=len, default=None) or None


@lru_cache(maxsize=4096)
def spellings(path: bytes) -> tuple[str, ...]:
    """The folded spellings that some system treats as `path`, for deny patterns (security.md 52, 53).

    Folded part by part and as a whole (a full-width slash folds to ``/``), with backslashes as slashes, and
    as Windows reads it: without trailing dots and spaces, and without the part after a colon.
    """
    text = _decode(path)
    by_part = "/".join(fold(part).replace("/", "\uff0f") for part in text.split("/"))
    whole = fold(text.replace("\\", "/"))
    as_windows = "/".join(_as_windows(part) for part in whole.split("/"))
    return tuple(dict.fromkeys((by_part, whole, as_windows)))


def fold(text: str) -> str:
    """`text` without the differences between names that look alike: case, width, accents, invisible code points.

    Repeats compatibility decomposition and case folding until nothing changes, so that folding is idempotent.
    """
    if text.isascii():
        return text.lower()
    while True:
        folded = unicodedata.normalize("NFKD", text.casefold())
        folded = "".join(c for c in folded if not (is_ignorable(c) or unicodedata.category(c) in _ACCENTS))
        if folded == text:
            return folded
        text = folded


def _as_windows(part: str) -> str:
    return part.partition(":")[0].rstrip(". ") or part


def _decode(path: bytes) -> str:
    """`path` as text, one-to-one also for bytes that are not UTF-8."""
    return path.decode("utf-8", "surrogateescape")


@lru_cache(maxsize=1024)
def covering(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """An expression whose full match tells whether `Globs.covers` of `patterns` covers a path.

    The path is text that ends in ``/`` and has no empty, ``.`` or ``..`` part; all patterns pass `check`.
    """
    return re.compile("|".join(map(_path_regex, patterns)), re.DOTALL)


def _path_regex(pattern: str) -> str:
    """A regular expression for a whole path, with ``/`` after each part.

    The parts between two ``**`` form an atomic group that keeps its first match, which avoids exponential time.
    """
    parts = pattern.removeprefix("/").split("/")
    segments = [""]
    for part in parts:
        if part == _STARS:
            segments.append("")
        else:
            segments[-1] += _part_regex(part, "[^/]") + "/"
    first, *rest = segments
    if not rest:
        return first
    *middle, last = rest
    folders = "(?:[^/]++/)*"
    between = "".join(f"(?>{folders}?{segment})" for segment in middle if segment)
    return first + between + (folders + last if last else ".+")


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> tuple[re.Pattern[str] | None, ...]:
    """The parts of `pattern`, with None for ``**``; a final ``**`` requires at least one part."""
    found: list[re.Pattern[str] | None] = []
    parts = pattern.removeprefix("/").split("/")
    for part in parts:
        if part != _STARS:
            found.append(re.compile(_part_regex(part), re.DOTALL))
        elif not found or found[-1] is not None:
            found.append(None)
    if parts[-1] == _STARS:
        found.append(re.compile(".+", re.DOTALL))
    return tuple(found)


@lru_cache(maxsize=4096)
def compiled_deny(pattern: str) -> tuple[tuple[re.Pattern[str] | None, ...], ...]:
    """`pattern`, folded like the paths that it is matched with; ``folder/**`` also matches ``folder``."""
    folded = fold(pattern)
    if folded.endswith("/**") and (folder := folded.removesuffix("/**").strip("/")) not in {"", _STARS}:
        return compiled(folder), compiled(folded)
    return (compiled(folded),)


def _part_regex(part: str, any_char: str = ".") -> str:
    """A regular expression for one part; atomic groups keep the first match of each star, which bounds the time.

    `any_char` is the expression for ``?``. Where a ``/`` may follow the part, neither it nor a bracket may match it.
    """
    no_slash = "" if any_char == "." else "(?!/)"
    chunks, at = [""], 0
    while at < len(part):
        char = part[at]
        at += 1
        if char == "*":
            chunks.append("")
        elif char == "[":
            end = part.index("]", at + 2 if part[at : at + 1] in {"!", "^"} else at + 1)
            chunks[-1] += no_slash + _bracket(part[at:end])
            at = end + 1
        else:
            chunks[-1] += any_char if char == "?" else re.escape(char)
    if len(chunks) == 1:
        return chunks[0]
    first, *middle, last = chunks
    return first + "".join(f"(?>{any_char}*?{chunk})" for chunk in middle if chunk) + f"{any_char}*" + last


def _bracket(inner: str) -> str:
    negated = inner[0] in "!^"
    members = inner[1:] if negated else inner
    escaped = re.sub(r"([\\\[\]^&~|])", r"\\\1", members)
    return f"[{'^' if negated else ''}{escaped}]"


def _match(pattern: Sequence[re.Pattern[str] | None], parts: Sequence[str]) -> bool:
    """True if `pattern` matches all of `parts`; backtracks only to the last ``**``."""
    at = to = 0
    star, mark = -1, 0
    while to < len(parts):
        current = pattern[at : at + 1]
        if current and current[0] is None:
            star, mark = at, to
            at += 1
        elif current and current[0] is not None and current[0].fullmatch(parts[to]):
            at, to = at + 1, to + 1
        elif star >= 0:
            mark += 1
            at, to = star + 1, mark
        else:
            return False
    return all(rest is None for rest in pattern[at:])
