"""Verbs about the text in files: replace, add, remove."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from bot.grammar import file_verbs, key_verbs
from bot.grammar.clause import Clause, as_path, find
from bot.grammar.words import Unclear, Word
from core.edit import AddLine, Edit, RemoveLine, ReplaceText

_IN = frozenset({"in", "inside", "within", "across", "throughout"})
_INTO = frozenset({"to", "into", "in", "onto", "inside"})
_OUT_OF = frozenset({"from", "in", "inside"})
_REPLACE = 'replace "old text" with "new text" in README.md'
_ADD = 'add the line "* new" to CHANGELOG.md under "Unreleased"'
_REMOVE = 'remove the line containing "foo" from a.txt'
_CONTAINING = frozenset(
    [
        "containing",
        "contains",
        "contain",
        "with",
        "saying",
        "says",
        "say",
        "including",
        "includes",
        "reading",
        "reads",
        "having",
        "has",
    ]
)
_LISTS = (".gitignore", ".dockerignore", ".npmignore", ".prettierignore", ".gitattributes")


def replace(clause: Clause) -> tuple[Edit, ...]:
    """replace X with Y in FILE or GLOB, everywhere, or in all files of a kind."""
    placed = _target(clause)
    if placed.place is None:
        raise Unclear("I do not see which file you mean.", _REPLACE)
    words = placed.words
    for noise in (("all",), ("every",), ("each",), ("occurrences", "of"), ("occurrence", "of"), ("the",)):
        if tuple(w.plain for w in words[: len(noise)]) == noise and _is_noise(noise, words):
            words = words[len(noise) :]
    if len(words) > 1 and words[0].plain in ("word", "words", "text", "string", "phrase") and words[1].plain != "with":
        words = words[1:]
    parts = find(words, "with") or find(words, "by") or find(words, "->", "=>", "→")
    if len(parts) != 1:
        raise Unclear("I cannot tell which text to replace with which; put both in quotes.", _REPLACE)
    new = words[parts[0] + 1 :]
    if len(new) > 1 and new[0].plain in ("the", "word", "text", "string") and new[-1].quoted:
        new = new[-1:]
    old_text, new_text = placed.said(words[: parts[0]], "the text to replace"), placed.said(new, "the new text")
    target = placed.place + "**" if placed.place.endswith("/") else placed.place
    return (ReplaceText(target, old_text, new_text),)


def add(clause: Clause) -> tuple[Edit, ...]:
    """add or append LINE to FILE, under a HEADING or at the end."""
    named = _noun(clause.words)
    if named == "file":
        return file_verbs.create(clause)
    if named in ("key", "setting", "option", "variable"):
        return key_verbs.new_key(clause)
    if named in ("package", "dependency", "requirement", "section", "heading", "function", "test"):
        raise Unclear(f"I cannot write a {named} myself; I can add a line that you give.", _ADD)
    if find(clause.words, "top", "beginning", "start", "before", "after") and not _is_one_text(clause):
        raise Unclear("I can add a line at the end of a file or of a section, nowhere else.", _ADD)
    headed = _under(clause)
    placed = _placed(headed)
    line, is_line = _line(placed)
    path = placed.file(_ADD)
    if not is_line and " " not in line and line.isalpha() and not _takes_words(placed.verb, path):
        raise Unclear(f"I cannot tell whether “{line[:60]}” is the line itself; if so, quote it.", _ADD)
    return (AddLine(path, line, placed.heading or headed.heading),)


def remove(clause: Clause) -> tuple[Edit, ...]:
    """remove the line containing X from FILE, or delete FILE."""
    if not find(clause.words, "line", "lines"):
        return file_verbs.delete(clause)
    placed = clause.place_at_end(_OUT_OF)
    if placed is None and clause.places(_OUT_OF)[:1] and clause.places(_OUT_OF)[0].first == 0:
        placed = clause.without(clause.places(_OUT_OF)[0])
    placed = placed or clause
    words = placed.words
    every = any(word.plain in ("all", "every", "any", "each") for word in words[: find(words, "line", "lines")[0]])
    at = find(words, "line", "lines")[0]
    if any(word.plain not in ("the", "a", "this", "all", "every", "any", "each", "of") for word in words[:at]):
        raise Unclear("I cannot tell which line you mean.", _REMOVE)
    many = words[at].plain == "lines"
    words = words[at + 1 :]
    while len(words) > 1 and words[0].plain in ("that", "which", "all"):
        words = words[1:]
    if len(words) > 1 and words[0].plain in _CONTAINING:
        words = words[1:]
        if len(words) > 1 and words[0].plain in ("the", "text", "word") and words[-1].quoted:
            words = words[-1:]
    elif not (len(words) == 1 and words[0].quoted):
        raise Unclear("I do not see what the line contains.", _REMOVE)
    if many and not every and len(words) > 0:
        raise Unclear(
            "Is it one line or all lines that contain this?", _REMOVE, 'remove all lines containing "foo" from a.txt'
        )
    return (RemoveLine(placed.file(_REMOVE), placed.said(words, "what the line contains"), every=every),)


def _target(clause: Clause) -> Clause:
    """The clause with what to search as lead: a file, a glob, a folder with a slash, everything."""
    words = clause.words
    if words and words[-1].plain == "everywhere":
        return dataclasses.replace(clause, words=words[:-1], lead="**")
    for count in (3, 4):
        tail = [word.plain for word in words[-count:]]
        if (
            len(words) > count
            and tail[0] in _IN
            and tail[1] in ("all", "every", "each")
            and tail[-1] in ("files", "file")
        ):
            kind = "**" if count == 3 else as_path(words[-2])
            if kind is None:
                break
            pattern = kind if count == 3 or "*" in kind or "/" in kind else f"**/*{kind}"
            if count == 4 and not (kind.startswith(".") or "*" in kind or kind.endswith("/")):
                break
            return dataclasses.replace(clause, words=words[:-count], lead=pattern)
    if (placed := clause.place_at_end(_IN)) is not None:
        return placed
    inside = [p for p in clause.places(_IN) if p.last < len(words) and words[p.last].plain in ("with", "by")]
    return clause.without(inside[0]) if len(inside) == 1 else clause


def _is_noise(noise: tuple[str, ...], words: tuple[Word, ...]) -> bool:
    """Whether `all`, `every` and `the` speak about the text rather than belong to it."""
    after = words[len(noise)].plain if len(words) > len(noise) else ""
    quoted = len(words) > len(noise) and words[len(noise)].quoted
    return (
        noise[-1] == "of"
        or quoted
        or after in ("occurrences", "occurrence", "word", "words", "text", "string", "phrase")
    )


def _under(clause: Clause) -> Clause:
    """The clause without `under [the heading] H`, and with H as its heading."""
    words = clause.words
    starts = find(words, "under", "below", "beneath")
    if not starts:
        return clause
    if len(starts) > 1:
        raise Unclear("I cannot tell the heading from the line; put both in quotes.", _ADD)
    first = at = starts[0]
    at += 1
    while at < len(words) - 1 and words[at].plain in ("the", "heading", "section", "header", "title"):
        at += 1
    last = at + 1
    if at < len(words) and not words[at].quoted:
        while last < len(words) and words[last].plain not in _INTO and not words[last].quoted:
            last += 1
    heading = [word for word in words[at:last] if word.quoted or word.plain not in ("heading", "section")]
    if last < len(words) and words[last].plain in ("heading", "section"):
        last += 1
    said = clause.said(tuple(heading), "the heading").rstrip(",")
    return dataclasses.replace(clause, words=words[:first] + words[last:], heading=said)


def _placed(clause: Clause) -> Clause:
    """The clause with its file as lead, `to FILE` standing first or last."""
    found = clause.places(_INTO)
    words = clause.words
    for at in find(words, "end", "bottom"):  # to the end of FILE
        if at + 2 < len(words) and words[at + 1].plain == "of" and (path := as_path(words[-1])) is not None:
            first = at - 2 if words[at - 1].plain == "the" else at - 1
            if first >= 0 and words[first].plain in (*_INTO, "at") and at + 3 >= len(words) - 1:
                return dataclasses.replace(clause, words=words[:first], lead=path)
    at_end = [place for place in found if place.last == len(words)]
    chosen = at_end[-1:] or [place for place in found if place.first == 0][:1]
    if not chosen:
        return clause
    return clause.without(chosen[0])


def _line(clause: Clause) -> tuple[str, bool]:
    """The line to add, escapes in it read, and whether it was called a line or quoted."""
    words = clause.words
    named = _noun(words)
    is_line = named in ("line", "entry", "item", "bullet", "row", "text")
    if is_line:
        at = find(words, named)[0] + 1 if find(words, named) else 0
        words = words[at:]
        while len(words) > 1 and words[0].plain in (
            "saying",
            "reading",
            "that",
            "says",
            "reads",
            "with",
            "containing",
            "",
        ):
            if words[0].quoted:
                break
            words = words[1:]
    elif len(words) > 1 and words[0].plain in ("the", "a", "this", "following") and words[1].quoted:
        words = words[1:]
    said = clause.said(words, "the line to add")
    quoted = len(words) == 1 and words[0].quoted
    if not is_line and not quoted and len(words) > 1 and not said.startswith(("- ", "* ", "+ ", "# ")):
        raise Unclear(f"I cannot tell whether “{said[:60]}” is the line itself; if so, quote it.", _ADD)
    if quoted and not words[0].fenced:
        said = file_verbs.unescaped(said)
    return said.rstrip("\r\n") if quoted else said, is_line or quoted


def _noun(words: tuple[Word, ...]) -> str:
    """The first bare word that is no article; empty when a quoted text comes first."""
    return next((w.plain for w in words[:4] if w.plain not in ("the", "a", "an", "new", "empty", "this")), "")


def _is_one_text(clause: Clause) -> bool:
    return (
        bool(clause.words)
        and not any(
            word.plain in ("at", "to") and after.plain in ("the", "top", "beginning", "start")
            for word, after in zip(clause.words, clause.words[1:], strict=False)
        )
        and not find(clause.words, "before", "after")
    )


def _takes_words(verb: str, path: str) -> bool:
    """Whether one plain word is a line of its own: appended, or in a file that lists words."""
    name = path.rpartition("/")[2]
    return verb == "append" or name in _LISTS or (name.endswith(".txt") and "requirements" in path)


VERBS: dict[str, Callable[[Clause], tuple[Edit, ...]]] = {
    **dict.fromkeys(("replace", "substitute", "swap"), replace),
    **dict.fromkeys(("add", "append", "insert", "put"), add),
    **dict.fromkeys(("remove", "delete", "drop", "erase"), remove),
}
