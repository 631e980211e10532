"""Words of a line: the first one, task numbers, digests, quoted values and options. Every reading is linear in time."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bot.commands.model import InvalidCommand

MAX_NUMBER: Final = 2**31 - 1
"""The largest number of a task that the store can hold."""

_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Mn", "Me", "Zl", "Zp"})
_NUMBER: Final = re.compile(r"#?([0-9]{1,10})", re.ASCII)
_DIGEST: Final = re.compile(r"[0-9a-fA-F]{1,64}")
_LOW, _LEFT, _RIGHT = "\u201a", "\u2018", "\u2019"  # single quotes that a reader takes for a comma or an accent
_CLOSING: Final = {
    '"': '"', "“": "”", "„": "“”", "”": "”", "«": "»", "'": "'", _LEFT: _RIGHT, _LOW: _LEFT + _RIGHT
}  # fmt: skip
"""Opening quotes and what may close them; phones and desktops turn the straight ones into these."""

_OPEN, _SHUT = "".join(_CLOSING), "".join(sorted(set("".join(_CLOSING.values()))))
_VALUE: Final = (
    rf"(?:[{_OPEN}]\s*(?P<quoted>[^{_SHUT}\s]{{1,128}})\s*[{_SHUT}]|(?P<plain>[^\s{_OPEN}{_SHUT}]{{1,128}}))"
)
_DASHES: Final = r"(?:--|[\u2014\u2013])"  # phones turn two dashes into one long one
_LEADING: Final = re.compile(rf"{_DASHES}(?P<name>[A-Za-z]{{1,32}})(?:\s{{0,8}}=\s{{0,8}}|\s{{1,8}}){_VALUE}(?=\s|$)")
_TRAILING: Final = re.compile(rf"(?:^|\s){_DASHES}(?P<name>[A-Za-z]{{1,32}})(?:\s{{0,8}}=\s{{0,8}}|\s{{1,8}}){_VALUE}$")
_TAIL: Final = 256
"""Characters at the end of a text in which its last option lies; more than the longest one."""
_IN_REPO: Final = re.compile(rf"(?:^|\s)in\s{{1,8}}(?:the\s{{1,8}})?repo(?:sitory)?\s{{1,8}}{_VALUE}$", re.IGNORECASE)
REPEATED: Final = frozenset({"set"})
"""Options that may be said more than once."""

_PARAMETER: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""What a repository or lane may be called, as countersign.yaml has it."""


def split_first(text: str) -> tuple[str, str]:
    """The first word and the rest, both without space around them."""
    parts = text.split(maxsplit=1)
    if not parts:
        return "", ""
    return parts[0], parts[1].strip() if len(parts) > 1 else ""


def has_hidden_characters(word: str) -> bool:
    """Whether a word has a character that nobody sees: zero-width, bidirectional, combining, control."""
    return not word.isprintable() or (not word.isascii() and any(unicodedata.category(c) in _HIDDEN for c in word))


def normalized(word: str) -> str:
    """The word as somebody reads it: without invisible characters, compatibility forms made plain, small letters."""
    seen = "".join(char for char in unicodedata.normalize("NFKD", word) if unicodedata.category(char) not in _HIDDEN)
    return seen.casefold()


def task_number(word: str) -> int | None:
    """The task's number that a word is (``12`` or ``#12``), or None."""
    found = _NUMBER.fullmatch(word)
    value = int(found.group(1)) if found else 0
    return value if 1 <= value <= MAX_NUMBER else None


def digest_prefix(word: str) -> str | None:
    """The digest, or the beginning of one, that a word is; the sign of a card that cuts it off may follow."""
    plain = word.removesuffix("…").removesuffix("...")
    return plain.lower() if _DIGEST.fullmatch(plain) else None


def leading_quote(text: str) -> tuple[str, str] | None:
    """What is in the quotes that `text` begins with, and the rest; None when it begins with none or they stay open."""
    closing = _CLOSING.get(text[:1])
    if closing is None:
        return None
    ends = [at for at in (text.find(char, 1) for char in closing) if at > 0]
    if not ends:
        return None
    return text[1 : min(ends)].strip(), text[min(ends) + 1 :].strip()


def unquote(text: str) -> str:
    """The text without quotes when they are around the whole of it."""
    found = leading_quote(text)
    return found[0] if found is not None and found[0] and not found[1] else text


@dataclass(frozen=True, slots=True)
class CommandWords:
    """A text without its options, and what those give; `verbatim` when a lone ``--`` said that the rest is text.

    `given` has the value of each option, and of one that may be repeated all of them, a line each.
    """

    text: str
    given: Mapping[str, str]
    verbatim: bool = False


def read_options(
    text: str, known: tuple[str, ...], *, strict: bool, in_repo: bool = False
) -> CommandWords | InvalidCommand:
    """The text without the options at its beginning and its end, and their values by name.

    Options stand at either end, never within the text: what is asked for may well be about options. With `strict` an
    unknown one at the beginning is a mistake, else it is text; with `in_repo` ``in repo NAME`` is one as well. Each
    may be said once, but for those in `REPEATED`.
    """
    given: dict[str, str] = {}
    while (found := _LEADING.match(text)) is not None:
        name = found["name"].lower()
        if name not in known and strict:
            return InvalidCommand(f"There is no option --{name} here", f"Known: {', '.join(f'--{k}' for k in known)}.")
        if name not in known:
            break
        value = found["quoted"] or found["plain"]
        if name in given and name not in REPEATED:
            return _twice(name)
        given[name] = f"{given[name]}\n{value}" if name in given else value
        text = text[found.end() :].strip()
    word, rest = split_first(text)
    if word == "--":
        return CommandWords(rest, given, verbatim=True)
    return _from_the_end(text, given, known, in_repo=in_repo)


def _from_the_end(
    text: str, given: dict[str, str], known: tuple[str, ...], *, in_repo: bool
) -> CommandWords | InvalidCommand:
    while True:
        tail = text[-_TAIL:]
        found = _TRAILING.search(tail)
        if found is not None and (name := found["name"].lower()) in known:
            value = found["quoted"] or found["plain"]
        elif in_repo and (found := _IN_REPO.search(tail)) is not None:
            name, value = "repo", (found["quoted"] or found["plain"]).rstrip(".!")
            if not NAME.fullmatch(value):
                return CommandWords(text, given)
        else:
            return CommandWords(text, given)
        if name in given and name not in REPEATED:
            return _twice(name)
        given[name] = f"{given[name]}\n{value}" if name in given else value
        text = text[: len(text) - len(tail) + found.start()].strip()


def _twice(name: str) -> InvalidCommand:
    return InvalidCommand(f"--{name} is said twice", "Say it once.")


def read_parameters(given: str) -> tuple[tuple[str, str], ...] | InvalidCommand:
    """The parameters in the lines of ``--set``, by name; each is NAME=VALUE and said once."""
    found: dict[str, str] = {}
    for line in given.splitlines():
        key, _, value = line.partition("=")
        if not _PARAMETER.fullmatch(key) or not value:
            return InvalidCommand(f"--set {line[:40]} sets nothing", "Write --set NAME=VALUE, without spaces in it.")
        if key in found:
            return InvalidCommand(f"The parameter {key} is set twice", "Say it once.")
        found[key] = value
    return tuple(sorted(found.items()))
