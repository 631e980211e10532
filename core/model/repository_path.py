"""Paths as people and models write them: which ones stay inside the repository."""

from __future__ import annotations

import json
import unicodedata
from typing import Final

MAX_PATH_CHARS: Final = 1024
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


class PathError(ValueError):
    """The path does not stay inside the repository; the message says why."""


def check_path(text: str) -> str:
    """The path itself when it stays inside the repository, else PathError with one sentence."""
    wrong = _wrong_path(text)
    if wrong is not None:
        shown = json.dumps(text[:80], ensure_ascii=True)
        raise PathError(wrong.format(f"The path {shown}") if text else wrong)
    return text


def _wrong_path(text: str) -> str | None:
    """What is wrong with a path, with a place for the path itself, or None."""
    if not text:
        return "The path is empty."
    if len(text) > MAX_PATH_CHARS:
        return f"{{}}… is longer than {MAX_PATH_CHARS} characters."
    if not (text.isascii() and text.isprintable()) and any(unicodedata.category(c) in _HIDDEN for c in text):
        return "{} has control or invisible characters."
    if "\\" in text:
        return "{} has a backslash; separate folders with /."
    if text.startswith(("/", "~")) or (len(text) > 1 and text[1] == ":" and text[0].isalpha()):
        return "{} is absolute; name it from the repository's root."
    return next(filter(None, map(_wrong_part, text.split("/"))), None)


def _wrong_part(part: str) -> str | None:
    if part in ("", ".", ".."):
        return "{} has an empty, '.' or '..' part."
    if part != part.strip():
        return "{} has a part that begins or ends with a space."
    if unicodedata.normalize("NFKC", part).casefold().rstrip(". ") in (".git", "git~1"):
        return "{} is inside git's own folder."
    return None
