"""Verbs about the lines of files: add and remove; `bot.interpret.grammar.replacing` reads the verbs that replace."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from bot.interpret.grammar import file_verbs, key_verbs
from bot.interpret.grammar.breaks import unescape_breaks
from bot.interpret.grammar.clause import Clause, as_path, positions_of, strip_closings, strip_comma
from bot.interpret.grammar.replacing import replace
from bot.interpret.grammar.tokens import Token, UnclearClause, word_set
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
    named = _noun(clause.words)
    is_line = clause.heading is not None
    if named == "file" and not is_line and clause.lead is None:
        return file_verbs.create(clause)
    if named in ("key", "setting", "option", "variable") and not is_line:
        return key_verbs.new_key(clause)
    if named in ("package", "dependency", "requirement", "section", "heading", "function", "test"):
        raise UnclearClause(f"I cannot write a {named} myself; I can add a line that you give.", _ADD)
    if positions_of(clause.words, "top", "beginning", "start", "before", "after") and not _is_one_text(clause):
        raise UnclearClause("I can add a line at the end of a file or of a section, nowhere else.", _ADD)
    placed = _placed(_under(clause))
    line, is_line = _line(placed)
    path = placed.require_file(_ADD)
    if not is_line and " " not in line and line.isalpha() and not _takes_words(placed.verb, path):
        raise UnclearClause(f"I cannot tell whether “{line[:60]}” is the line itself; if so, quote it.", _ADD)
    return (AddLine(path, line, placed.heading, item=named in _ITEMS),)


def remove(clause: Clause) -> tuple[Edit, ...]:
    """remove the line containing X from FILE, remove the line "X" from FILE, or delete FILE."""
    if not positions_of(clause.words, "line", "lines"):
        return file_verbs.delete(clause)
    placed = clause.take_path_at_end(_OUT_OF)
    if placed is None and (places := clause.find_paths(_OUT_OF)) and places[0].first == 0:
        placed = clause.without(places[0])
    placed = placed or clause
    at = next(iter(positions_of(placed.words, "line", "lines")), 0)
    before = [word.plain for word in placed.words[:at]]
    if not placed.words or any(plain not in ("the", "a", "this", "of", *_EVERY) for plain in before):
        raise UnclearClause("I cannot tell which line you mean.", _REMOVE)
    every = not _EVERY.isdisjoint(before)
    text, whole, word = _named_by(placed.words[at + 1 :])
    if placed.words[at].plain == "lines" and not every:
        raise UnclearClause("Is it one line or all lines that contain this?", _REMOVE, _REMOVE_ALL)
    said = placed.text_of(text, "the text of the line", mean=(_REMOVE,))
    return (RemoveLine(placed.require_file(_REMOVE), said, every=every, whole=whole, word=word),)


def _named_by(words: tuple[Token, ...]) -> tuple[tuple[Token, ...], bool, bool]:
    """The text that a line is named by, whether it is the whole line, and whether it is a whole word in it."""
    words = strip_closings(words)
    if len(words) == 1 and words[0].is_quoted:
        return words, True, False
    for noise in (("that", "which"), ("all",)):
        words = words[1:] if len(words) > 1 and words[0].plain in noise else words
    if len(words) < 2 or words[0].plain not in _CONTAINING:
        raise UnclearClause("I do not see what the line contains.", _REMOVE)
    words = words[1:]
    named = words[1:] if len(words) > 1 and words[0].plain == "the" else words
    if len(named) == 2 and named[1].is_quoted and named[0].plain in ("text", "string", "phrase", "word"):
        return named[1:], False, named[0].plain == "word"
    return words, False, False


def _under(clause: Clause) -> Clause:
    """The clause without `under [the heading] H`, and with H as its heading."""
    words = clause.words
    starts = positions_of(words, "under", "below", "beneath")
    if not starts:
        return clause
    if len(starts) > 1:
        raise UnclearClause("I cannot tell the heading from the line; put both in quotes.", _ADD)
    first = at = starts[0]
    at += 1
    while at < len(words) - 1 and words[at].plain in ("the", "heading", "section", "header", "title"):
        at += 1
    last = at + 1
    if at < len(words) and not words[at].is_quoted:
        while last < len(words) and words[last].plain not in _INTO and not words[last].is_quoted:
            last += 1
    heading = [word for word in words[at:last] if word.is_quoted or word.plain not in ("heading", "section")]
    if last < len(words) and words[last].plain in ("heading", "section"):
        last += 1
    said = clause.text_of(strip_comma(tuple(heading)), "the heading", found=True)
    return dataclasses.replace(clause, words=words[:first] + words[last:], heading=said)


def _placed(clause: Clause) -> Clause:
    """The clause with its file as lead, `to FILE` standing first or last."""
    found = clause.find_paths(_INTO)
    words = clause.words
    for at in positions_of(words, "end", "bottom"):  # to the end of FILE
        if at + 2 < len(words) and words[at + 1].plain == "of" and (path := as_path(words[-1])) is not None:
            first = at - 2 if words[at - 1].plain == "the" else at - 1
            if first >= 0 and words[first].plain in (*_INTO, "at") and at + 3 >= len(words) - 1:
                return clause.with_lead(path, words[:first])
    at_end = [place for place in found if place.last == len(words)]
    chosen = at_end[-1:] or [place for place in found if place.first == 0][:1]
    if not chosen:
        return clause
    return clause.without(chosen[0])


def _line(clause: Clause) -> tuple[str, bool]:
    """The line to add, and whether it was called a line or quoted."""
    words = clause.words
    named = _noun(words)
    is_line = named in _LINES or named in _ITEMS
    if is_line:
        words = words[positions_of(words, named)[0] + 1 :]
        if len(words) > 1 and named in _ITEMS and words[0].plain in ("point", "item"):
            words = words[1:]
        while len(words) > 1 and words[0].plain in _SAYING:
            words = words[1:]
    elif len(words) > 1 and words[0].plain in ("the", "a", "this", "following") and words[1].is_quoted:
        words = words[1:]
    words = strip_comma(strip_closings(words))
    said = clause.text_of(words, "the line to add", mean=(_ADD,))
    if not words[0].is_quoted:
        return said, is_line
    return unescape_breaks(clause.text, words[0]).rstrip("\r\n"), True


def _noun(words: tuple[Token, ...]) -> str:
    """The first bare word that is no article; empty when a quoted text comes first."""
    return next((w.plain for w in words[:4] if w.plain not in ("the", "a", "an", "new", "empty", "this")), "")


def _is_one_text(clause: Clause) -> bool:
    return (
        bool(clause.words)
        and not any(
            word.plain in ("at", "to") and after.plain in ("the", "top", "beginning", "start")
            for word, after in zip(clause.words, clause.words[1:], strict=False)
        )
        and not positions_of(clause.words, "before", "after")
    )


def _takes_words(verb: str, path: str) -> bool:
    """Whether one plain word is a line of its own: appended, or in a file that lists words."""
    name = path.rpartition("/")[2]
    return verb == "append" or name in _LISTS or (name.endswith(".txt") and "requirements" in path)


REPLACING = ("replace", "substitute", "swap")
ADDING = ("add", "append", "insert", "put")
VERBS: dict[str, Callable[[Clause], tuple[Edit, ...]]] = {
    **dict.fromkeys(REPLACING, replace),
    **dict.fromkeys(ADDING, add),
    **dict.fromkeys(("remove", "delete", "drop", "erase"), remove),
}
