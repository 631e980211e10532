"""The words of a full-text search: how texts are split for the index, and how people write a query; pure.

Both databases index what `index_words` returns, so that a query matches the same tasks on either. A query is parsed
here into values, and the store binds them as parameters: no part of a database's own query syntax reaches it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from core.model.errors import UsageError

MAX_QUERY_CHARS: Final = 500
MAX_TERMS: Final = 16
MAX_INDEXED_CHARS: Final = 16_384
"""How much of one text is indexed; PostgreSQL refuses a document of more than 1 MiB."""
_MAX_WORD: Final = 48
_SECRET_LENGTH: Final = 16
_WORD: Final = re.compile(r"[^\W_]+")
_TERM: Final = re.compile(r'(?P<minus>-?)(?:"(?P<phrase>[^"]*)"|(?P<plain>\S+))')
_HOW: Final = (
    'Write words, "a phrase", the beginning of a word with a star (conf*), and -word for what must be missing.'
)


@dataclass(frozen=True, slots=True)
class SearchTerm:
    """Words that follow each other.

    With `is_prefix` the last one may go on, with `is_excluded` they must be missing.
    """

    words: tuple[str, ...]
    is_prefix: bool = False
    is_excluded: bool = False


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """The terms of a query; a task matches if all of them hold. At least one is not excluded."""

    terms: tuple[SearchTerm, ...]

    @classmethod
    def parse(cls, text: str) -> SearchQuery:
        """The query that a person wrote; raises `UsageError` for one that is too long or names no word."""
        if len(text) > MAX_QUERY_CHARS:
            raise UsageError("bad_search", f"the search has more than {MAX_QUERY_CHARS} characters", "Shorten it.")
        terms = tuple(term for match in _TERM.finditer(text) if (term := _term(match)) is not None)
        if len(terms) > MAX_TERMS:
            raise UsageError("bad_search", f"the search has more than {MAX_TERMS} terms", "Shorten it.")
        if all(term.is_excluded for term in terms):
            raise UsageError("bad_search", "the search names no word to look for", _HOW)
        return cls(terms)


def index_words(text: str) -> str:
    """The words of `text` for the index: in one case, separated by spaces; long ones that may be secrets are left out.

    What people are shown is masked, and a search by prefix must not reveal it character by character.
    """
    return " ".join(word for word in _split(text[: 2 * MAX_INDEXED_CHARS]) if not _may_be_secret(word))[
        :MAX_INDEXED_CHARS
    ]


def _term(match: re.Match[str]) -> SearchTerm | None:
    phrase, plain = match["phrase"], match["plain"]
    text = phrase if phrase is not None else plain
    words = tuple(_split(text))
    if not words:
        return None
    return SearchTerm(words, is_prefix=phrase is None and text.endswith("*"), is_excluded=bool(match["minus"]))


def _split(text: str) -> list[str]:
    return [word[:_MAX_WORD] for word in _WORD.findall(unicodedata.normalize("NFKC", text).casefold())]


def _may_be_secret(word: str) -> bool:
    """Whether a word is long and mixes letters with digits, as keys and tokens do."""
    is_mixed = any(char.isdigit() for char in word) and any(char.isalpha() for char in word)
    return len(word) >= _MAX_WORD or (len(word) >= _SECRET_LENGTH and is_mixed)
