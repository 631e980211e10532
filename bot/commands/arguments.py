"""Arguments of a command line: task numbers, digests, quoted values and options; all read in linear time."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bot.commands.model import InvalidCommand

MAX_NUMBER: Final = 2**31 - 1
"""The largest task number that the store can hold."""

_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Mn", "Me", "Zl", "Zp"})
_NUMBER: Final = re.compile(r"#?([0-9]{1,10})", re.ASCII)
_DIGEST: Final = re.compile(r"[0-9a-fA-F]{1,64}")
_LOW, _LEFT, _RIGHT = "\u201a", "\u2018", "\u2019"  # single quotes that look like a comma or an accent
_CLOSING: Final = {
    '"': '"', "“": "”", "„": "“”", "”": "”", "«": "»", "'": "'", _LEFT: _RIGHT, _LOW: _LEFT + _RIGHT
}  # fmt: skip
"""Opening quotes and what may close them; phones and desktops replace straight quotes by these."""

_OPEN, _SHUT = "".join(_CLOSING), "".join(sorted(set("".join(_CLOSING.values()))))
_VALUE: Final = (
    rf"(?:[{_OPEN}]\s*(?P<quoted>[^{_SHUT}\s]{{1,128}})\s*[{_SHUT}]|(?P<plain>[^\s{_OPEN}{_SHUT}]{{1,128}}))"
)
_DASHES: Final = r"(?:--|[\u2014\u2013])"  # phones turn two dashes into one long one
_LEADING: Final = re.compile(rf"{_DASHES}(?P<name>[A-Za-z]{{1,32}})(?:\s{{0,8}}=\s{{0,8}}|\s{{1,8}}){_VALUE}(?=\s|$)")
_TRAILING: Final = re.compile(rf"(?:^|\s){_DASHES}(?P<name>[A-Za-z]{{1,32}})(?:\s{{0,8}}=\s{{0,8}}|\s{{1,8}}){_VALUE}$")
_TAIL_CHARACTERS: Final = 256
"""Characters at the end of a text that contain its last option; more than the longest one."""
_IN_REPO: Final = re.compile(rf"(?:^|\s)in\s{{1,8}}(?:the\s{{1,8}})?repo(?:sitory)?\s{{1,8}}{_VALUE}$", re.IGNORECASE)
REPEATED: Final = frozenset({"set"})
"""Options that may be given more than once."""

_PARAMETER: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""The format of a repository's or lane's name, as in countersign.yaml."""


def split_first(text: str) -> tuple[str, str]:
    """The first word and the rest, both stripped."""
    parts = text.split(maxsplit=1)
    if not parts:
        return "", ""
    return parts[0], parts[1].strip() if len(parts) > 1 else ""


def has_hidden_characters(word: str) -> bool:
    """Whether a word has an invisible character: zero-width, bidirectional, combining, control."""
    return not word.isprintable() or (
        not word.isascii() and any(unicodedata.category(char) in _HIDDEN for char in word)
    )


def normalized(word: str) -> str:
    """The word as people read it: no invisible characters, compatibility forms replaced, lower case."""
    visible = "".join(char for char in unicodedata.normalize("NFKD", word) if unicodedata.category(char) not in _HIDDEN)
    return visible.casefold()


def task_number(word: str) -> int | None:
    """The task number that a word is (``12`` or ``#12``), or None."""
    match = _NUMBER.fullmatch(word)
    value = int(match.group(1)) if match else 0
    return value if 1 <= value <= MAX_NUMBER else None


def digest_prefix(word: str) -> str | None:
    """The digest, or the beginning of one, that a word is; a card's ellipsis may follow it."""
    plain = word.removesuffix("…").removesuffix("...")
    return plain.lower() if _DIGEST.fullmatch(plain) else None


def leading_quote(text: str) -> tuple[str, str] | None:
    """The text in the quotes that `text` begins with, and the rest; None without complete quotes."""
    closing = _CLOSING.get(text[:1])
    if closing is None:
        return None
    ends = [at for at in (text.find(char, 1) for char in closing) if at > 0]
    if not ends:
        return None
    return text[1 : min(ends)].strip(), text[min(ends) + 1 :].strip()


def unquote(text: str) -> str:
    """The text without quotes around the whole of it."""
    quote = leading_quote(text)
    return quote[0] if quote is not None and quote[0] and not quote[1] else text


@dataclass(frozen=True, slots=True)
class CommandWords:
    """A text without its options, and their values; `verbatim` if a lone ``--`` marked the rest as text.

    `options` has the value of each option; the values of a repeated option are joined by line breaks.
    """

    text: str
    options: Mapping[str, str]
    verbatim: bool = False


def read_options(
    text: str, known: tuple[str, ...], *, strict: bool, in_repo: bool = False
) -> CommandWords | InvalidCommand:
    """Split the options off both ends of the text.

    Options are never within the text, which may well be about options. With `strict` an unknown option at the beginning
    is an error, else it is text; with `in_repo`, ``in repo NAME`` is an option as well. Each may be given once, except
    those in `REPEATED`.
    """
    values: dict[str, str] = {}
    while (match := _LEADING.match(text)) is not None:
        name = match["name"].lower()
        if name not in known and strict:
            return InvalidCommand(f"--{name} is not an option here", f"Known: {', '.join(f'--{k}' for k in known)}.")
        if name not in known:
            break
        value = match["quoted"] or match["plain"]
        if name in values and name not in REPEATED:
            return _duplicate(name)
        values[name] = f"{values[name]}\n{value}" if name in values else value
        text = text[match.end() :].strip()
    word, rest = split_first(text)
    if word == "--":
        return CommandWords(rest, values, verbatim=True)
    return _read_trailing_options(text, values, known, in_repo=in_repo)


def _read_trailing_options(
    text: str, values: dict[str, str], known: tuple[str, ...], *, in_repo: bool
) -> CommandWords | InvalidCommand:
    while True:
        tail = text[-_TAIL_CHARACTERS:]
        match = _TRAILING.search(tail)
        if match is not None and (name := match["name"].lower()) in known:
            value = match["quoted"] or match["plain"]
        elif in_repo and (match := _IN_REPO.search(tail)) is not None:
            name, value = "repo", (match["quoted"] or match["plain"]).rstrip(".!")
            if not NAME.fullmatch(value):
                return CommandWords(text, values)
        else:
            return CommandWords(text, values)
        if name in values and name not in REPEATED:
            return _duplicate(name)
        values[name] = f"{values[name]}\n{value}" if name in values else value
        text = text[: len(text) - len(tail) + match.start()].strip()


def _duplicate(name: str) -> InvalidCommand:
    return InvalidCommand(f"--{name} is given twice", "Give it once.")


def read_parameters(lines: str) -> tuple[tuple[str, str], ...] | InvalidCommand:
    """The parameters in the lines of ``--set``, by name; each is NAME=VALUE and given once."""
    parameters: dict[str, str] = {}
    for line in lines.splitlines():
        key, _, value = line.partition("=")
        if not _PARAMETER.fullmatch(key) or not value:
            return InvalidCommand(f"--set {line[:40]} has no value", "Write --set NAME=VALUE without spaces.")
        if key in parameters:
            return InvalidCommand(f"The parameter {key} is set twice", "Set it once.")
        parameters[key] = value
    return tuple(sorted(parameters.items()))
