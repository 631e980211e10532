"""Parses a request into edits: split into clauses, politeness removed, each clause read by its verb."""

from __future__ import annotations

from dataclasses import replace

from bot.interpret.grammar import file_verbs, key_verbs, text_verbs
from bot.interpret.grammar.clause import BEFORE_PATH, CLOSINGS, Clause, as_path
from bot.interpret.grammar.tokens import (
    MAX_TEXT_BYTES,
    NotUnderstood,
    Token,
    UnclearClause,
    hidden_character,
    strip_word_joiners,
    tokenize,
)
from core.model.edits import Edit, paths_named

MAX_EDITS = 100
EXAMPLES = (
    "set KEY to VALUE in FILE",
    'replace "old text" with "new text" in FILE',
    'add the line "text" to FILE under "Heading"',
    'remove the line containing "text" from FILE',
    "rename FILE to FILE",
    "delete FILE",
    "bump PACKAGE to VERSION",
    'create FILE with "content"',
)
_VERBS = {**key_verbs.VERBS, **text_verbs.VERBS, **file_verbs.VERBS}
_JOINERS = frozenset({"and", "then", "&", "plus", "also", "next", "finally", "afterwards"})
_POLITE_WORDS = frozenset(
    [
        "please",
        "pls",
        "plz",
        "kindly",
        "hey",
        "hi",
        "hello",
        "ok",
        "okay",
        "so",
        "now",
        "just",
        "also",
        "then",
        "and",
        "next",
        "finally",
        "yes",
        "thanks",
        "countersign",
    ]
)
_POLITE_PHRASES: dict[str, list[tuple[str, ...]]] = {}
for _phrase in (
    """
    could you|can you|would you|will you|could we|can we|i want you to|i want to|i need you to|i need to
    i would like you to|i would like to|i'd like you to|i'd like to|let's|let us|lets|we need to|you need to
    we should|go ahead and|go and|after that|be so kind and|task|ask
""".strip()
    .replace("\n", "|")
    .split("|")
):
    _POLITE_PHRASES.setdefault(_phrase.split()[0], []).append(tuple(_phrase.split()))
_TRAILING_NOISE = frozenset({"now", "asap", ":)", ":-)", "🙏", "👍", "🙂", "😊", "🎉", "🙌", "🚀"})
"""Words without meaning after a file or a quoted text; after a bare text they could be part of it."""
_EVERYWHERE = ("everywhere", "globally")
_LEAD_PREPOSITIONS = frozenset({"in", "inside", "within", "from", "to", "for", "on", "at"})


def parse(text: str) -> tuple[Edit, ...] | NotUnderstood:
    """The edits that a text asks for, all of them, or why it is not understood; never guesses, never raises.

    Takes time linear in the text, which may have 64 KiB.
    """
    if len(text) > MAX_TEXT_BYTES or len(text.encode(errors="replace")) > MAX_TEXT_BYTES:
        return NotUnderstood(f"The request is longer than {MAX_TEXT_BYTES // 1024} KiB.", EXAMPLES)
    text = strip_word_joiners(text)
    if hidden := hidden_character(text):
        return NotUnderstood(
            f"The request holds an invisible character ({hidden}) that could hide its meaning.", EXAMPLES
        )
    try:
        edits = _edits(text)
    except UnclearClause as error:
        return NotUnderstood(error.reason, error.can or EXAMPLES)
    except ValueError as error:  # an invalid path or key; the message is for people
        return NotUnderstood(str(error), EXAMPLES)
    return edits


def _edits(text: str) -> tuple[Edit, ...]:
    edits: list[Edit] = []
    lead: str | None = None
    clauses = _clauses(tokenize(text))
    if not clauses:
        raise UnclearClause("The request is empty.")
    if len(clauses) > MAX_EDITS:
        raise UnclearClause(f"The request has more than {MAX_EDITS} parts.")
    for words in clauses:
        clause, lead = _clause(text, words, lead)
        clause = replace(clause, follows_named_files=any(map(paths_named, edits)))
        edits.extend(_VERBS[clause.verb](clause))
    return tuple(edits)


def _clauses(words: list[Token]) -> list[list[Token]]:
    """The tokens of each clause; a joiner or a line break separates clauses only if a verb follows."""
    clauses: list[list[Token]] = [[]]
    at = 0
    while at < len(words):
        word = words[at]
        if word.separator == ";" or ((word.separator or word.plain in _JOINERS) and _begins(words, at + 1)):
            clauses.append([])
        elif not word.separator:
            clauses[-1].append(word)
            ending = word.after if word.is_quoted else word.text + word.after
            if ending.endswith((",", ".", "!")) and _has_verb(clauses[-1]) and _begins(words, at + 1):
                clauses.append([])
        at += 1
    return [clause for clause in map(_strip_noise, clauses) if clause]


def _begins(words: list[Token], at: int) -> bool:
    """Whether a clause begins here: a verb, after politeness and at most an `in FILE`."""
    rest = _skip_opening(words[at : at + 12])
    if rest and rest[0].plain in _LEAD_PREPOSITIONS:
        _, rest = _split_lead(rest)
    return bool(rest) and rest[0].plain in _VERBS


def _has_verb(words: list[Token]) -> bool:
    """Whether the tokens of a clause so far contain a verb, and not only an `in FILE,` before it."""
    return any(word.plain in _VERBS for word in words[:12])


def _split_lead(words: list[Token]) -> tuple[str | None, list[Token]]:
    """The file of an `in FILE` at the start, and the tokens after it; None if anything else is there."""
    position = 1
    while position < len(words) - 1 and words[position].plain in BEFORE_PATH:
        position += 1
    path = as_path(words[position]) if position < len(words) else None
    if path is None:
        return None, []
    position += 2 if words[position + 1 : position + 2] and words[position + 1].plain == "file" else 1
    return path, _skip_opening(words[position:])


def _strip_noise(words: list[Token]) -> list[Token]:
    """A clause without politeness, a mention of the bot, or trailing punctuation."""
    words = list(_skip_opening(words))
    while words:
        last = words[-1]
        bare = last.text if last.is_quoted else last.text.rstrip(".," if "://" in last.text else ".!?,")
        closing = next(
            (each for each in CLOSINGS if len(words) > len(each) and _plain(words[-len(each) :]) == each), ()
        )
        if bare != last.text:
            words[-1:] = [replace(last, text=bare, after=last.text[len(bare) :] + last.after)] if bare else []
        elif closing:
            del words[-len(closing) :]
        elif len(words) > 1 and last.text.casefold() in _TRAILING_NOISE and as_path(words[-2]) is not None:
            del words[-1]
        else:
            break
    return words


def _skip_opening(words: list[Token]) -> list[Token]:
    """The tokens from the first that carries meaning."""
    position = 0
    while position < len(words):
        word = words[position]
        bullet = not word.is_quoted and (
            word.text in ("-", "*", "•") or (word.text[:-1].isdigit() and word.text[-1] in ".)")
        )
        mention = not word.is_quoted and word.text.startswith(("@", "<@"))
        candidates = _POLITE_PHRASES.get("".join(_plain([word])), ())
        phrase = next((each for each in candidates if _plain(words[position : position + len(each)]) == each), ())
        if phrase:
            position += len(phrase)
        elif word.separator or bullet or mention or _is_polite(word):
            position += 1
        else:
            break
    return words[position:]


def _is_polite(word: Token) -> bool:
    """Whether a bare word is politeness, or only punctuation, as after a mention."""
    plain = word.plain.strip("!.,:\u2013\u2014-")
    return not word.is_quoted and (plain in _POLITE_WORDS or not plain)


def _clause(text: str, words: list[Token], carried: str | None) -> tuple[Clause, str | None]:
    """The clause with its verb, and the file that it names up front, which applies to later clauses."""
    lead: str | None = None
    everywhere = words[0].plain in _EVERYWHERE
    if everywhere:
        words = _skip_opening(words[1:])
    heading, words = _split_heading(words)
    if words and words[0].plain in _LEAD_PREPOSITIONS:
        path, rest = _split_lead(words)
        lead, words = path, rest if path is not None else words
    elif len(words) > 1 and _ends_in_colon(words[0]) and (path_up_front := as_path(words[0])) is not None:
        lead, words = path_up_front, _skip_opening(words[1:])
    if heading is None:
        heading, words = _split_heading(words)
    if words and words[0].plain in _EVERYWHERE:
        everywhere, words = True, _skip_opening(words[1:])
    verb = words[0].plain if words else ""
    if verb not in _VERBS or (everywhere and verb not in text_verbs.REPLACING):
        unknown = text[words[0].start : words[0].end][:40] if words else "that"
        raise UnclearClause(f"I do not understand “{unknown}” as something to do.")
    if heading is not None and verb not in text_verbs.ADDING:
        raise UnclearClause(f"Only lines can be added under a heading; I cannot {verb} anything there.")
    if lead is not None and verb in file_verbs.VERBS:
        raise UnclearClause(f"I cannot tell what {lead} is about; name each file from the repository's root.")
    clause = Clause(text, verb, tuple(words[1:]), lead, heading, carried, is_everywhere=everywhere)
    return clause, lead or carried


def _split_heading(words: list[Token]) -> tuple[str | None, list[Token]]:
    """The heading of an `under "H"` at the start, and the tokens after it."""
    if len(words) > 2 and words[0].plain in ("under", "below") and words[1].is_quoted:
        return words[1].text, _skip_opening(words[2:])
    return None, words


def _ends_in_colon(word: Token) -> bool:
    return (word.after if word.is_quoted else word.text).endswith(":")


def _plain(words: list[Token]) -> tuple[str, ...]:
    """The bare words with straight apostrophes and without a command's slash."""
    return tuple(word.plain.lstrip("/").replace("\u2019", "'") for word in words)
