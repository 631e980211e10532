"""One clause of a request: the tokens after its verb, and the questions that every verb asks of them."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace

from bot.interpret.grammar.tokens import Token, UnclearClause, word_set
from core.model.edits import is_glob

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
BEFORE_PATH = frozenset({"the", "my", "our", "file", "files", "called", "named"})
_VAGUE_STARTS = word_set(
    """
    the a an all every each any some this that these those my our your its it first last next new old
    """
)
_VAGUE_TEXTS = word_set(
    """
    nothing it this that these those them something anything everything whatever all none empty blank space spaces
    """
)
_MODIFIERS = word_set(
    """
    once twice thrice only first last but except excluding unless not never if when while where wherever ignoring
    regardless without instead or case-insensitively insensitively otherwise maybe perhaps temporarily always
    """
)
"""Words after a text that change the request; without quotes they cannot be told from the text."""
CLOSINGS = (
    *(("thank", "you", "very", "much"), ("thanks", "so", "much"), ("thanks", "a", "lot"), ("many", "thanks")),
    *(("thank", "you"), ("for", "me"), ("for", "us"), ("please",), ("pls",), ("plz",), ("thanks",), ("thx",)),
    *(("cheers",), ("again",)),
)
"""Words that may end a request and mean nothing, the longer ones first."""
_PLACES = frozenset({"in", "inside", "within", "across", "throughout", "to", "into", "onto", "from"})
_MARKS = ",.:!?\u2026"
_LITERAL = re.compile(r"[+-]?[0-9][0-9.]*[a-z%]{0,3}|true|false|yes|no|on|off|null", re.IGNORECASE)
_NO_PATH_ENDS = (".", "!", "?", ")", "\u2026")


@dataclass(frozen=True, slots=True)
class FoundPath:
    """A path among the tokens: `[first, last)` with the preposition and noise around it."""

    first: int
    last: int
    path: str


@dataclass(frozen=True, slots=True)
class Clause:
    """The tokens after a verb; `lead` is the file that the clause names, `heading` the section.

    `carried` is a file that an earlier clause named up front, for a clause that needs one and names none;
    `follows_named_files` says that earlier clauses named files. `is_everywhere` was said before the verb.
    """

    text: str
    verb: str
    words: tuple[Token, ...]
    lead: str | None = None
    heading: str | None = None
    carried: str | None = None
    follows_named_files: bool = False
    is_everywhere: bool = False

    @property
    def named_file(self) -> str | None:
        """The file that the clause names, or else the one that was named before."""
        return self.lead or self.carried

    def raw(self, words: Collection[Token]) -> str:
        """The request's text from the first to the last of these tokens."""
        return self.text[min(word.start for word in words) : max(word.end - len(word.after) for word in words)]

    def find_paths(self, prepositions: Collection[str]) -> list[FoundPath]:
        """Every `in FILE` among the tokens, for these prepositions."""
        paths = []
        for first, word in enumerate(self.words):
            if word.plain not in prepositions:
                continue
            position = first + 1
            while position < len(self.words) - 1 and self.words[position].plain in BEFORE_PATH:
                position += 1
            if position < len(self.words) and (path := as_path(self.words[position])) is not None:
                last = position + 1
                if last < len(self.words) and self.words[last].plain == "file":
                    last += 1
                paths.append(FoundPath(first, last, path))
        return paths

    def without(self, path_found: FoundPath) -> Clause:
        """The clause without a found path."""
        return self.with_lead(path_found.path, self.words[: path_found.first] + self.words[path_found.last :])

    def with_lead(self, path: str, words: tuple[Token, ...]) -> Clause:
        """The clause about this path, with the remaining tokens.

        Raises `UnclearClause` if it already names another path.
        """
        if self.lead not in (None, path):
            raise UnclearClause(f"You name {self.lead} and {path}; say one file for each change.")
        return replace(self, words=words, lead=path)

    def take_path_at_end(self, prepositions: Collection[str]) -> Clause | None:
        """The clause with the `in FILE` at its end removed and used as its lead, or None."""
        at_end = [path for path in self.find_paths(prepositions) if path.last == len(self.words)]
        return self.without(at_end[-1]) if at_end else None

    def skip(self, *noise: str) -> Clause:
        """The clause without these words at its start."""
        count = 0
        while count < len(self.words) - 1 and self.words[count].plain in noise:
            count += 1
        return replace(self, words=self.words[count:])

    def text_of(
        self, words: tuple[Token, ...], name: str, *, must_exist: bool = False, suggestions: tuple[str, ...] = ()
    ) -> str:
        """The text that these tokens give: one quoted text, or one bare word.

        With `must_exist`, a title that the file must contain may be several bare words: it exists or the request fails.
        Raises `UnclearClause`, with `suggestions` as suggestions, if the text's end or meaning is not certain.
        """
        words = strip_closings(words)
        if not words:
            raise UnclearClause(f"I do not see {name}.")
        if len(words) == 1 and words[0].is_quoted:
            return words[0].text
        raw = self.raw(words)
        if any(word.is_quoted or word.separator for word in words):
            raise UnclearClause(
                f"I cannot tell where {name} begins and ends; put all of it in one pair of quotes.", *suggestions
            )
        if modifier := next((word.text for word in words[1:] if word.plain in _MODIFIERS), None):
            reason = f"“{modifier}” may be part of {name} or about how to change it, which I cannot do"
            raise UnclearClause(f"{reason}; quote the text.", *suggestions[:1])
        if len(words) > 1 and (not must_exist or words[0].plain in _VAGUE_STARTS):
            reason = f"“{raw[:60]}” is several words, and I cannot tell where {name} ends"
            raise UnclearClause(f"{reason}; put it in quotes.", *suggestions)
        if len(words) == 1 and words[0].plain in _VAGUE_TEXTS:
            raise UnclearClause(
                f"I cannot tell whether “{raw[:60]}” is meant literally; if so, quote it.", *suggestions
            )
        if mark := ambiguous_punctuation(words[-1]):
            raise UnclearClause(
                f"I cannot tell whether “{mark}” belongs to {name}; put the text in quotes.", *suggestions
            )
        return raw

    def missing_file_error(self, example: str) -> UnclearClause:
        """Why no file was understood: the words after the named one, or that none is named."""
        paths = self.find_paths(_PLACES)
        rest = self.words[paths[-1].last :] if paths else ()
        if not rest:
            return UnclearClause("I do not see which file you mean.", example)
        return UnclearClause(f"I do not understand “{self.raw(rest)[:60]}” behind {paths[-1].path}.", example)

    def require_file(self, example: str) -> str:
        """The one file that the clause names; raises `UnclearClause` if it names none or several."""
        path = self.named_file
        if path is None:
            raise self.missing_file_error(example)
        if is_glob(path) or path.endswith("/"):
            raise UnclearClause(f"{path} may be several files; name one.", example)
        return path


def as_path(word: Token) -> str | None:
    """The path that a token is, or None; a bare word must look like a path."""
    if word.separator or word.is_fenced:
        return None
    if word.is_quoted:
        return word.text if word.text and "\n" not in word.text else None
    text = word.text.rstrip(",:")
    if text.endswith(_NO_PATH_ENDS) or text.startswith("(") or "://" in text:
        return None
    path = text.removeprefix("./")
    name = path.rpartition("/")[2]
    has_ending = "." in name.strip(".") or (name.startswith(".") and len(name) > 1)
    is_well_known = name.casefold() in _KNOWN_FILES or (name.isalpha() and name.isupper() and len(name) > 2)
    return path if path and ("/" in text or "*" in text or has_ending or is_well_known) else None


def is_known_file(path: str) -> bool:
    """Whether the last part of a path is certainly a file name: with an ending, or a well-known one."""
    name = path.rpartition("/")[2]
    return "." in name.strip(".") or name.startswith(".") or name.casefold() in _KNOWN_FILES


def strip_closings(words: tuple[Token, ...], *extra: str) -> tuple[Token, ...]:
    """The tokens without meaningless words at the end, including `extra`; one token always stays."""
    while len(words) > 1:
        plain = [word.plain for word in words]
        closings = (*CLOSINGS, *((word,) for word in extra))
        ending = next(
            (each for each in closings if len(words) > len(each) and tuple(plain[-len(each) :]) == each), None
        )
        if ending is None:
            break
        words = strip_comma(words[: -len(ending)])
    return words


def strip_comma(words: tuple[Token, ...]) -> tuple[Token, ...]:
    """The tokens without the comma that separates the last of them from what followed."""
    last = words[-1] if words else None
    if last is None or last.is_quoted or not last.text.endswith(",") or len(last.text) < 2:
        return words
    return (*words[:-1], replace(last, text=last.text[:-1], after="," + last.after))


def ambiguous_punctuation(word: Token) -> str:
    """Punctuation at a bare word that may belong to it or to the sentence, as in `hello!`; empty if clear."""
    if word.text.count("(") != word.text.count(")"):
        return "(" if "(" in word.text else ")"
    if word.text.endswith(tuple(_MARKS)):
        return "" if "://" in word.text and word.text.endswith("?") else word.text[-1]
    marks = word.after if ".." in word.after else "".join(mark for mark in word.after if mark in "!?:\u2026")
    return "" if _LITERAL.fullmatch(word.text) else marks


def is_structured(path: str) -> bool:
    """Whether a file has keys and values."""
    name = path.rpartition("/")[2].lower()
    return name.endswith(_STRUCTURED) or name.startswith(".env.")


def positions_of(words: Collection[Token], *plain: str) -> list[int]:
    """The positions of these bare words."""
    return [index for index, word in enumerate(words) if word.plain in plain]
