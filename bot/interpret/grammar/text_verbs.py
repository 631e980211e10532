"""Verbs about lines of files: add and remove; `bot.interpret.grammar.replacing` reads the verbs that replace."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from bot.interpret.grammar import file_verbs, key_verbs
from bot.interpret.grammar.clause import Clause, as_path, positions_of, strip_closings, strip_comma
from bot.interpret.grammar.replacing import replace
from bot.interpret.grammar.tokens import Token, UnclearClause, unescape_breaks, word_set
from core.model.edits import AddLine, Edit, RemoveLine

_INTO = frozenset({"to", "into", "in", "onto", "inside"})
_OUT_OF = frozenset({"from", "in", "inside"})
_ADD = 'add the line "* new" to CHANGELOG.md under "Unreleased"'
_REMOVE = 'remove the line containing "foo" from a.txt'
_REMOVE_ALL = 'remove all lines containing "foo" from a.txt'
_CONTAINING = word_set(
    """
    containing contains contain with saying says say including includes reading reads having has
    """
)
_SAYING = frozenset({"saying", "reading", "that", "says", "reads", "with", "containing"})
_LINES = frozenset({"line", "entry", "row", "text"})
_ITEMS = frozenset({"bullet", "item"})
_LISTS = (".gitignore", ".dockerignore", ".npmignore", ".prettierignore", ".gitattributes")
_EVERY = frozenset({"all", "every", "any", "each"})


def add(clause: Clause) -> tuple[Edit, ...]:
    """add or append LINE to FILE, under a HEADING or at the end."""
    noun = _noun(clause.words)
    is_line = clause.heading is not None
    if noun == "file" and not is_line and clause.lead is None:
        return file_verbs.create(clause)
    if noun in ("key", "setting", "option", "variable") and not is_line:
        return key_verbs.new_key(clause)
    if noun in ("package", "dependency", "requirement", "section", "heading", "function", "test"):
        raise UnclearClause(f"I cannot write a {noun} myself; I can add a line that you give.", _ADD)
    if positions_of(clause.words, "top", "beginning", "start", "before", "after") and not _is_one_text(clause):
        raise UnclearClause("I can add a line at the end of a file or of a section, nowhere else.", _ADD)
    located = _with_file(_with_heading(clause))
    line, is_line = _line(located)
    path = located.require_file(_ADD)
    if not is_line and " " not in line and line.isalpha() and not _is_word_list(located.verb, path):
        raise UnclearClause(f"I cannot tell whether “{line[:60]}” is the line itself; if so, quote it.", _ADD)
    return (AddLine(path, line, located.heading, item=noun in _ITEMS),)


def remove(clause: Clause) -> tuple[Edit, ...]:
    """remove the line containing X from FILE, remove the line "X" from FILE, or delete FILE."""
    if not positions_of(clause.words, "line", "lines"):
        return file_verbs.delete(clause)
    located = clause.take_path_at_end(_OUT_OF)
    if located is None and (places := clause.find_paths(_OUT_OF)) and places[0].first == 0:
        located = clause.without(places[0])
    located = located or clause
    index = next(iter(positions_of(located.words, "line", "lines")), 0)
    before = [word.plain for word in located.words[:index]]
    if not located.words or any(plain not in ("the", "a", "this", "of", *_EVERY) for plain in before):
        raise UnclearClause("I cannot tell which line you mean.", _REMOVE)
    is_every = not _EVERY.isdisjoint(before)
    text, whole, word = _line_text(located.words[index + 1 :])
    if located.words[index].plain == "lines" and not is_every:
        raise UnclearClause("Is it one line or all lines that contain this?", _REMOVE, _REMOVE_ALL)
    line_text = located.text_of(text, "the text of the line", suggestions=(_REMOVE,))
    return (RemoveLine(located.require_file(_REMOVE), line_text, every=is_every, whole=whole, word=word),)


def _line_text(words: tuple[Token, ...]) -> tuple[tuple[Token, ...], bool, bool]:
    """The text that names a line, whether it is the whole line, and whether it is a whole word in it."""
    words = strip_closings(words)
    if len(words) == 1 and words[0].is_quoted:
        return words, True, False
    for noise in (("that", "which"), ("all",)):
        words = words[1:] if len(words) > 1 and words[0].plain in noise else words
    if len(words) < 2 or words[0].plain not in _CONTAINING:
        raise UnclearClause("I do not see what the line contains.", _REMOVE)
    words = words[1:]
    rest = words[1:] if len(words) > 1 and words[0].plain == "the" else words
    if len(rest) == 2 and rest[1].is_quoted and rest[0].plain in ("text", "string", "phrase", "word"):
        return rest[1:], False, rest[0].plain == "word"
    return words, False, False


def _with_heading(clause: Clause) -> Clause:
    """The clause without `under [the heading] H`, and with H as its heading."""
    words = clause.words
    starts = positions_of(words, "under", "below", "beneath")
    if not starts:
        return clause
    if len(starts) > 1:
        raise UnclearClause("I cannot tell the heading from the line; put both in quotes.", _ADD)
    first = index = starts[0]
    index += 1
    while index < len(words) - 1 and words[index].plain in ("the", "heading", "section", "header", "title"):
        index += 1
    last = index + 1
    if index < len(words) and not words[index].is_quoted:
        while last < len(words) and words[last].plain not in _INTO and not words[last].is_quoted:
            last += 1
    heading = [word for word in words[index:last] if word.is_quoted or word.plain not in ("heading", "section")]
    if last < len(words) and words[last].plain in ("heading", "section"):
        last += 1
    title = clause.text_of(strip_comma(tuple(heading)), "the heading", must_exist=True)
    return dataclasses.replace(clause, words=words[:first] + words[last:], heading=title)


def _with_file(clause: Clause) -> Clause:
    """The clause with its file as lead, with `to FILE` first or last."""
    paths = clause.find_paths(_INTO)
    words = clause.words
    for index in positions_of(words, "end", "bottom"):  # to the end of FILE
        if index + 2 < len(words) and words[index + 1].plain == "of" and (path := as_path(words[-1])) is not None:
            first = index - 2 if words[index - 1].plain == "the" else index - 1
            if first >= 0 and words[first].plain in (*_INTO, "at") and index + 3 >= len(words) - 1:
                return clause.with_lead(path, words[:first])
    at_end = [place for place in paths if place.last == len(words)]
    candidates = at_end[-1:] or [place for place in paths if place.first == 0][:1]
    if not candidates:
        return clause
    return clause.without(candidates[0])


def _line(clause: Clause) -> tuple[str, bool]:
    """The line to add, and whether it was called a line or quoted."""
    words = clause.words
    noun = _noun(words)
    is_line = noun in _LINES or noun in _ITEMS
    if is_line:
        words = words[positions_of(words, noun)[0] + 1 :]
        if len(words) > 1 and noun in _ITEMS and words[0].plain in ("point", "item"):
            words = words[1:]
        while len(words) > 1 and words[0].plain in _SAYING:
            words = words[1:]
    elif len(words) > 1 and words[0].plain in ("the", "a", "this", "following") and words[1].is_quoted:
        words = words[1:]
    words = strip_comma(strip_closings(words))
    text = clause.text_of(words, "the line to add", suggestions=(_ADD,))
    if not words[0].is_quoted:
        return text, is_line
    return unescape_breaks(clause.text, words[0]).rstrip("\r\n"), True


def _noun(words: tuple[Token, ...]) -> str:
    """The first bare word that is not an article; empty if a quoted text comes first."""
    return next((word.plain for word in words[:4] if word.plain not in ("the", "a", "an", "new", "empty", "this")), "")


def _is_one_text(clause: Clause) -> bool:
    return (
        bool(clause.words)
        and not any(
            word.plain in ("at", "to") and after.plain in ("the", "top", "beginning", "start")
            for word, after in zip(clause.words, clause.words[1:], strict=False)
        )
        and not positions_of(clause.words, "before", "after")
    )


def _is_word_list(verb: str, path: str) -> bool:
    """Whether a single word can be a line: it is appended, or the file lists words."""
    name = path.rpartition("/")[2]
    return verb == "append" or name in _LISTS or (name.endswith(".txt") and "requirements" in path)


REPLACING = ("replace", "substitute", "swap")
ADDING = ("add", "append", "insert", "put")
VERBS: dict[str, Callable[[Clause], tuple[Edit, ...]]] = {
    **dict.fromkeys(REPLACING, replace),
    **dict.fromkeys(ADDING, add),
    **dict.fromkeys(("remove", "delete", "drop", "erase"), remove),
}
