"""Verbs that replace one text by another: where, which text, whether it is a whole word, and by what."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from bot.interpret.grammar.clause import Clause, as_path, positions_of, strip_closings, strip_comma
from bot.interpret.grammar.tokens import Token, UnclearClause
from core.model.edits import Edit, ReplaceText

EVERYWHERE = ("everywhere", "globally")
EXAMPLE = 'replace "old text" with "new text" in README.md'
_IN = frozenset({"in", "inside", "within", "across", "throughout"})
TO = (("to", "into"),)
_WITH = (("with",), ("by",), ("->", "=>", "→"))
_KINDS = {"word": True, "words": True, "text": False, "string": False, "phrase": False}
"""What a text may be called, and whether that makes it a whole word."""
_NOISE = (
    ("all", "every", "each"),
    ("occurrences", "occurrence", "instances", "instance"),
    ("of",),
    ("the",),
    ("whole", "entire", "exact"),
)
_NOTHING = frozenset({"nothing", "empty", "blank"})


def replace(clause: Clause) -> tuple[Edit, ...]:
    """replace X with Y in FILE or GLOB, everywhere, or in all files of a kind."""
    return build_replacement(clause, _WITH)


def change_word(clause: Clause) -> tuple[Edit, ...] | None:
    """change the word "X" to "Y" in FILE; None when the clause does not name a word in quotes."""
    words, _ = _old_text(clause.words)
    is_word = len(words) < len(clause.words) and words[0].is_quoted
    return build_replacement(clause, TO) if is_word else None


def build_replacement(clause: Clause, separators: Sequence[tuple[str, ...]]) -> tuple[Edit, ...]:
    """The replacement that a clause means; its two texts are on both sides of one of the `separators`."""
    located, is_everywhere = _with_target(clause)
    positions = next((at for words in separators if (at := positions_of(located.words, *words))), [])
    if len(positions) != 1:
        raise UnclearClause("I cannot tell which text to replace with which; put both in quotes.", EXAMPLE)
    old, also_here = _bounded(located.words[: positions[0]])
    new, and_here = _bounded(strip_comma(located.words[positions[0] + 1 :]))
    target = _search_target(located, is_everywhere=is_everywhere or also_here or and_here)
    old, word = _old_text(old)
    new = _new_text(new)
    if not old or not new:
        raise UnclearClause("I do not see which text to replace with which.", EXAMPLE)
    examples = (_example_with_quotes(located, old, words, target, word=word) for words in (strip_comma(new[:1]), new))
    suggestions = tuple(dict.fromkeys(examples))
    if len(new) == 1 and new[0].plain in _NOTHING:
        literal_example = _example_with_quotes(located, old, (), target, word=word)
        raise UnclearClause(
            f"I cannot tell whether “{new[0].text}” is the new text or means no text.", literal_example, suggestions[-1]
        )
    old_text = located.text_of(old, "the text to replace", suggestions=suggestions)
    new_text = located.text_of(new, "the new text", suggestions=suggestions)
    if old_text == new_text and not new[0].is_quoted:
        raise UnclearClause(
            "The new text is the same as the old one; quote both if a mark belongs to one of them.", EXAMPLE
        )
    return (ReplaceText(target, old_text, new_text, word=word),)


def _search_target(clause: Clause, *, is_everywhere: bool) -> str:
    """The file or glob to search; a file named anywhere in the request limits `is_everywhere`."""
    path = clause.named_file
    if path is None and is_everywhere and clause.follows_named_files:
        raise UnclearClause(
            "I cannot tell whether “everywhere” means all files or those named before.",
            'replace "old" with "new" in all files',
            EXAMPLE,
        )
    if path is None and (clause.is_everywhere or is_everywhere):
        return "**"
    if path is None:
        raise clause.missing_file_error(EXAMPLE)
    return path + "**" if path.endswith("/") else path


def _with_target(clause: Clause) -> tuple[Clause, bool]:
    """The clause with what to search as its lead, and whether it says `everywhere` at its end."""
    words, is_everywhere = _bounded(clause.words)
    clause = dataclasses.replace(clause, words=words)
    if (pattern := _kind_of_files(words)) is not None:
        return clause.with_lead(pattern, words[: -_all_files_length(words)]), is_everywhere
    if (located := clause.take_path_at_end(_IN)) is not None:
        return located, is_everywhere
    inside = [
        path
        for path in clause.find_paths(_IN)
        if path.last < len(words) and words[path.last].plain in ("with", "by", "to")
    ]
    return (clause.without(inside[0]) if len(inside) == 1 else clause), is_everywhere


def _all_files_length(words: tuple[Token, ...]) -> int:
    """The number of tokens at the end that say `in all files` or `in all .md files`; 0 if there are none."""
    for count in (3, 4):
        tail = [word.plain for word in words[-count:]]
        if len(words) > count and tail[0] in _IN and tail[1] in ("all", "every", "each"):
            return count if tail[-1] in ("files", "file") else 0
    return 0


def _kind_of_files(words: tuple[Token, ...]) -> str | None:
    """The glob of `in all files` or `in all .md files` at the end, or None."""
    count = _all_files_length(words)
    if count == 3:
        return "**"
    kind = as_path(words[-2]) if count else None
    if kind is None or not (kind.startswith(".") or "*" in kind or kind.endswith("/")):
        return None
    return kind if "*" in kind or "/" in kind else f"**/*{kind}"


def _bounded(words: tuple[Token, ...]) -> tuple[tuple[Token, ...], bool]:
    """The words without closing words and without `everywhere` at their end, and whether it was there."""
    remaining = strip_closings(words, *EVERYWHERE)
    return remaining, any(word.plain in EVERYWHERE for word in words[len(remaining) :])


def _old_text(words: tuple[Token, ...]) -> tuple[tuple[Token, ...], bool]:
    """The tokens without `all occurrences of the word` before them, and whether they must be a whole word."""
    index = 0
    for noise in _NOISE:
        index += index < len(words) - 1 and words[index].plain in noise
    kind = words[index].plain if index < len(words) - 1 else ""
    if kind in _KINDS:
        return words[index + 1 :], _KINDS[kind]
    is_about = index > 0 and (words[index].is_quoted or words[index - 1].plain == "of")
    return (words[index:] if is_about else words), False


def _new_text(words: tuple[Token, ...]) -> tuple[Token, ...]:
    """The new text without `the word` or `the text` before it, if it is quoted."""
    if len(words) in (2, 3) and words[-1].is_quoted and words[-2].plain in _KINDS:
        return words[-1:] if len(words) == 2 or words[0].plain == "the" else words
    return words


def _example_with_quotes(
    clause: Clause, old: tuple[Token, ...], new: tuple[Token, ...], target: str, *, word: bool
) -> str:
    """The same request with both texts in quotes, for people to copy."""
    texts = [words[0].text if len(words) == 1 else clause.raw(words) if words else "" for words in (old, new)]
    if any('"' in text or len(text) > 60 or not text.isprintable() for text in texts):
        return EXAMPLE
    return f'replace {"the word " if word else ""}"{texts[0]}" with "{texts[1]}" in {target}'
