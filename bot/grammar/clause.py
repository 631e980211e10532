"""One clause of a request: its verb's words, and the questions every verb asks of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from bot.grammar.words import Unclear, Word
from core.edit import is_glob

_KNOWN_FILES = frozenset(
    [
        "makefile",
        "dockerfile",
        "containerfile",
        "license",
        "licence",
        "copying",
        "readme",
        "changelog",
        "changes",
        "news",
        "authors",
        "contributors",
        "notice",
        "codeowners",
        "procfile",
        "gemfile",
        "rakefile",
        "vagrantfile",
        "jenkinsfile",
        "brewfile",
        "justfile",
        "todo",
        "version",
    ]
)
_STRUCTURED = (".yaml", ".yml", ".toml", ".json", ".jsonc", ".ini", ".cfg", ".editorconfig", ".env")
_BEFORE_PATH = frozenset({"the", "my", "our", "file", "files", "called", "named"})
_VAGUE_STARTS = frozenset(
    [
        "the",
        "a",
        "an",
        "all",
        "every",
        "each",
        "any",
        "some",
        "this",
        "that",
        "these",
        "those",
        "my",
        "our",
        "your",
        "its",
        "it",
        "first",
        "last",
        "next",
        "new",
        "old",
    ]
)


@dataclass(frozen=True, slots=True)
class Found:
    """A path among the words: `[first, last)` with the preposition and noise around it."""

    first: int
    last: int
    path: str


@dataclass(frozen=True, slots=True)
class Clause:
    """The words after a verb; `lead` is the file that it names, `heading` the section.

    `carried` is a file that an earlier clause named up front, for a clause that needs one and names none.
    """

    text: str
    verb: str
    words: tuple[Word, ...]
    lead: str | None = None
    heading: str | None = None
    carried: str | None = None

    @property
    def place(self) -> str | None:
        """The file that the clause names, or else the one that was named before."""
        return self.lead or self.carried

    def raw(self, words: Collection[Word]) -> str:
        """What stands in the request from the first to the last of these words."""
        return self.text[min(w.start for w in words) : max(w.end for w in words)]

    def places(self, prepositions: Collection[str]) -> list[Found]:
        """Every `in FILE` among the words, for these prepositions."""
        found = []
        for first, word in enumerate(self.words):
            if word.plain not in prepositions:
                continue
            at = first + 1
            while at < len(self.words) - 1 and self.words[at].plain in _BEFORE_PATH:
                at += 1
            if at < len(self.words) and (path := as_path(self.words[at])) is not None:
                last = at + 1
                if last < len(self.words) and self.words[last].plain == "file":
                    last += 1
                found.append(Found(first, last, path))
        return found

    def without(self, found: Found) -> Clause:
        """The clause without a found path."""
        return replace(self, words=self.words[: found.first] + self.words[found.last :], lead=found.path)

    def place_at_end(self, prepositions: Collection[str]) -> Clause | None:
        """The clause with the `in FILE` at its end taken off and made its lead, or None."""
        at_end = [found for found in self.places(prepositions) if found.last == len(self.words)]
        return self.without(at_end[-1]) if at_end else None

    def skip(self, *noise: str) -> Clause:
        """The clause without these words at its start."""
        at = 0
        while at < len(self.words) - 1 and self.words[at].plain in noise:
            at += 1
        return replace(self, words=self.words[at:])

    def said(self, words: tuple[Word, ...], what: str) -> str:
        """The text that these words give: one quoted text, or bare words as they are; Unclear when vague."""
        if not words:
            raise Unclear(f"I do not see {what}.")
        if len(words) == 1 and words[0].quoted:
            return words[0].text
        if any(word.quoted or word.ends for word in words):
            raise Unclear(f"I cannot tell where {what} begins and ends; put all of it in one pair of quotes.")
        if len(words) > 1 and words[0].plain in _VAGUE_STARTS:
            raise Unclear(f"I cannot tell whether “{self.raw(words)[:60]}” is meant literally; if so, quote it.")
        return self.raw(words)

    def file(self, example: str) -> str:
        """The one file that the clause names; Unclear with an example when it names none or several."""
        path = self.place
        if path is None:
            raise Unclear("I do not see which file you mean.", example)
        if is_glob(path) or path.endswith("/"):
            raise Unclear(f"{path} may be several files; name one.", example)
        return path


def as_path(word: Word) -> str | None:
    """The path that a word is, or None; a bare word must look like one."""
    if word.ends or word.fenced:
        return None
    if word.quoted:
        return word.text if word.text and "\n" not in word.text else None
    said = word.text.rstrip(",:")
    path = said.removeprefix("./")
    name = path.rpartition("/")[2]
    has_ending = "." in name.strip(".") or (name.startswith(".") and len(name) > 1)
    known = name.casefold() in _KNOWN_FILES or (name.isalpha() and name.isupper() and len(name) > 2)
    return path if path and ("/" in said or "*" in said or has_ending or known) else None


def is_structured(path: str) -> bool:
    """Whether a file holds keys and values."""
    name = path.rpartition("/")[2].lower()
    return name.endswith(_STRUCTURED) or name.startswith(".env.")


def find(words: Collection[Word], *plain: str) -> list[int]:
    """The positions of these bare words."""
    return [at for at, word in enumerate(words) if word.plain in plain]
