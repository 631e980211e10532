"""Reading: from a line of text to the command it is, for every surface alike.

A line is read in one of three ways. With a slash it is a command or a mistake, never a request. After ``countersign``
(Slack's slash command, or a line copied for the terminal) a command's name makes it one. Without either (a mention, a
direct message, a reply to a card) it is a command only if all of it fits one; anything else is what people ask or
answer. `approve` and `reject` are never read as anything else.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import replace
from typing import Final

from bot.commands.arguments import (
    NAME,
    CommandWords,
    has_hidden_characters,
    leading_quote,
    normalized,
    read_options,
    read_parameters,
    split_first,
    task_number,
)
from bot.commands.model import Ask, Command, Help, InvalidCommand, Reply
from bot.commands.readers import READERS
from bot.commands.table import COMMANDS, HINTS, MORE, NAMES
from core.model.advice import Advice, CommandName, Suggestion, advise

MAX_BYTES: Final = 64 * 1024
"""As many as the heart takes in of one turn."""

_FREE: Final = advise("To ask for a change in words like these, begin with ", Suggestion(CommandName.TASK), ".")
_ALL: Final = advise("See all with ", Suggestion(CommandName.HELP, args=("more",)), ".")
_ALWAYS: Final = frozenset({"approve", "reject"})
_SELECTION: Final = re.compile(r"not\b|all\b|[#0-9]|\S*[./]", re.IGNORECASE)
_BETWEEN: Final = ",:; \t"
"""What stands between a mention and the words after it."""
_ENDS: Final = ",:.!?"
"""What people write after a word that is all they say."""
_OPTIONS: Final = ("repo", "lane", "priority")
_TASK_OPTIONS: Final = (*_OPTIONS, "set")
"""Of the command with its slash: plain words may well end in somebody else's ``--set``."""


def parse(text: str, *, bound: bool) -> Command | InvalidCommand:
    """The command that `text` is; with `bound` the place is about one task already, whose number may be left out.

    Never raises, in time linear in the text, whatever the text.
    """
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "replace")) > MAX_BYTES:
        return InvalidCommand(f"This is longer than {MAX_BYTES // 1024} KiB", "Say it in fewer words.")
    said = text.strip()
    word, rest = split_first(said)
    if not word:
        return InvalidCommand("Nothing was said", advise("See what can be with ", Suggestion(CommandName.HELP), "."))
    if normalized(word[:64]).startswith("/"):
        return _slash(word, rest, bound=bound)
    if word.lower() == "countersign" and split_first(rest)[0].lower() in NAMES:
        return _line(rest, bound=bound)
    return _bare(said, bound=bound)


def build_request(said: CommandWords | InvalidCommand) -> Ask | InvalidCommand:
    """The request in a text whose options were read."""
    if isinstance(said, InvalidCommand):
        return said
    if not said.text:
        return InvalidCommand("Nothing was asked", 'Say what to change, e.g. "set a.b to 1 in x.yaml".')
    for name in ("repo", "lane"):
        if name in said.given and not NAME.fullmatch(said.given[name]):
            return InvalidCommand(f"--{name} is no plain name", "Write it as countersign.yaml has it.")
    priority = said.given.get("priority", "0")
    if not re.fullmatch(r"[+-]?[0-9]{1,3}", priority, re.ASCII) or abs(int(priority)) > 100:
        return InvalidCommand("--priority is no number from -100 to 100", "Higher goes first; 0 is usual.")
    parameters = read_parameters(said.given.get("set", ""))
    if isinstance(parameters, InvalidCommand):
        return parameters
    return Ask(said.text, said.given.get("repo"), said.given.get("lane"), int(priority), parameters)


def _slash(word: str, rest: str, *, bound: bool) -> Command | InvalidCommand:
    """A line that begins with a slash; Telegram adds the bot's name to the command in groups (``/task@bot``)."""
    name = word[1:].partition("@")[0].lower()
    if has_hidden_characters(word) or not word.isascii():
        near = closest_commands(normalized(word[:64]).lstrip("/").partition("@")[0])
        return InvalidCommand(
            "The command has a character that looks like another, or like none", "Type it anew.", near
        )
    if name == "countersign":
        return _line(rest, bound=bound) if rest else Help()
    if name not in NAMES:
        return _unknown(name)
    return _read(NAMES[name].name, rest, bound=bound)


def _line(text: str, *, bound: bool) -> Command | InvalidCommand:
    """What follows ``countersign``: a command by its name, else words."""
    word, rest = split_first(text)
    if word.startswith("/"):
        return _slash(word, rest, bound=bound)
    spec = NAMES.get(word.lower())
    return _read(spec.name, rest, bound=bound) if spec else _bare(text, bound=bound)


def _bare(text: str, *, bound: bool) -> Command | InvalidCommand:
    """Words without a slash."""
    said = text.lstrip(_BETWEEN)
    spoken = text if bound else said
    word, rest = split_first(said)
    name = word.rstrip(_ENDS).lower()
    if name not in NAMES:
        return _misspelt(word, rest) or _free(spoken, bound=bound)
    name = NAMES[name].name
    if name == "task":
        return _free(spoken, bound=True) if bound else _free(rest, bound=False)
    if not _fits(name, rest):
        return _free(spoken, bound=bound)
    found = _read(name, rest, bound=bound)
    meant = name in _ALWAYS or not rest or task_number(split_first(rest)[0]) is not None or name == "every"
    if not isinstance(found, InvalidCommand):
        return found
    return replace(found, mend=_and_free(found.mend)) if meant else _free(spoken, bound=bound)


def _fits(name: str, rest: str) -> bool:
    """Whether the words after a bare name could be meant for its command: sentences, too, begin with "hold"."""
    if name == "hold":
        return not rest
    if name == "every":
        return leading_quote(rest) is not None
    if name == "reply":
        return task_number(split_first(rest)[0]) is not None
    return name != "pick" or not rest or _SELECTION.match(rest) is not None


def _and_free(mend: str | Advice) -> Advice:
    parts = (mend,) if isinstance(mend, str) else mend.parts
    return advise(*parts, " ", *_FREE.parts) if mend else _FREE


def _free(text: str, *, bound: bool) -> Command | InvalidCommand:
    """Words that are no command: the answer in a task's place, a request elsewhere."""
    if bound:
        return Reply(None, text)
    return build_request(read_options(text, _OPTIONS, strict=False, in_repo=True))


def _read(name: str, rest: str, *, bound: bool) -> Command | InvalidCommand:
    if name == "task":
        return build_request(read_options(rest, _TASK_OPTIONS, strict=True, in_repo=True))
    if name == "help":
        return _help(rest)
    return READERS[name](rest, bound)


def _help(rest: str) -> Help | InvalidCommand:
    topic = rest.lower().removeprefix("/")
    if not topic:
        return Help()
    if topic == MORE:
        return Help(MORE)
    if topic in NAMES:
        return Help(NAMES[topic].name)
    return InvalidCommand("There is no command of that name", _ALL, closest_commands(topic))


def _misspelt(word: str, rest: str) -> InvalidCommand | None:
    """A bare word that was meant as a command: nearly its name, and a task's number after it."""
    read = normalized(word[:64]).rstrip(_ENDS)
    near = closest_commands(read, cutoff=0.8)
    disguised = read in NAMES and read != word.rstrip(_ENDS).lower()
    if disguised or (near and task_number(split_first(rest)[0]) is not None):
        return InvalidCommand("This looks like a command, and is none", _FREE, near)
    return None


def _unknown(name: str) -> InvalidCommand:
    near = HINTS.get(name) or closest_commands(name)
    return InvalidCommand("There is no such command", "" if near else _ALL, near)


def closest_commands(word: str, *, cutoff: float = 0.6) -> tuple[str, ...]:
    """The names of the commands that a misspelt word is likely to mean, at most two."""
    if len(word) > 32:
        return ()
    found = difflib.get_close_matches(word, NAMES, n=2, cutoff=cutoff)
    return tuple(dict.fromkeys(NAMES[name].name for name in found))


__all__ = ["COMMANDS", "build_request", "closest_commands", "parse"]
