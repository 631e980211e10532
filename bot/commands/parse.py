"""Parses a line of text into a command, for every surface.

There are three forms. A line with a slash is a command or an error, never a request. After ``countersign`` (Slack's
slash command, or a line copied for the terminal) a command's name makes it a command. Any other line (a mention, a
direct message, a reply to a card) is a command only if all of it fits one; otherwise it is a request or a reply.
`approve` and `reject` are always commands.
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
"""The limit of one turn's text in core."""

_BEGIN_WITH_TASK: Final = advise("To ask for a change with these words, begin with ", Suggestion(CommandName.TASK), ".")
_SEE_ALL: Final = advise("See all commands with ", Suggestion(CommandName.HELP, args=("more",)), ".")
_ALWAYS_COMMANDS: Final = frozenset({"approve", "reject"})
_SELECTION: Final = re.compile(r"not\b|all\b|[#0-9]|\S*[./]", re.IGNORECASE)
_AFTER_MENTION: Final = ",:; \t"
"""Characters between a mention and the text after it."""
_TRAILING_PUNCTUATION: Final = ",:.!?"
"""Punctuation that people write after a command word."""
_OPTIONS: Final = ("repo", "lane", "priority")
_TASK_OPTIONS: Final = (*_OPTIONS, "set")
"""Options of the command with its slash; plain text may end in an unrelated ``--set``."""


def parse(text: str, *, bound: bool) -> Command | InvalidCommand:
    """Parse `text`; with `bound` the conversation is about one task already, whose number may be left out.

    Never raises, and takes linear time, whatever the text.
    """
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "replace")) > MAX_BYTES:
        return InvalidCommand(f"This is longer than {MAX_BYTES // 1024} KiB", "Shorten it.")
    line = text.strip()
    word, rest = split_first(line)
    if not word:
        return InvalidCommand(
            "The message is empty", advise("See the commands with ", Suggestion(CommandName.HELP), ".")
        )
    if normalized(word[:64]).startswith("/"):
        return _parse_slash(word, rest, bound=bound)
    if word.lower() == "countersign" and split_first(rest)[0].lower() in NAMES:
        return _parse_named(rest, bound=bound)
    return _parse_plain(line, bound=bound)


def build_request(words: CommandWords | InvalidCommand) -> Ask | InvalidCommand:
    """The request in a text whose options were read."""
    if isinstance(words, InvalidCommand):
        return words
    if not words.text:
        return InvalidCommand("The request is empty", 'Say what to change, for example "set a.b to 1 in x.yaml".')
    for name in ("repo", "lane"):
        if name in words.options and not NAME.fullmatch(words.options[name]):
            return InvalidCommand(f"--{name} is not a valid name", "Write it as in countersign.yaml.")
    priority = words.options.get("priority", "0")
    if not re.fullmatch(r"[+-]?[0-9]{1,3}", priority, re.ASCII) or abs(int(priority)) > 100:
        return InvalidCommand("--priority is not a number from -100 to 100", "Higher goes first; the default is 0.")
    parameters = read_parameters(words.options.get("set", ""))
    if isinstance(parameters, InvalidCommand):
        return parameters
    return Ask(words.text, words.options.get("repo"), words.options.get("lane"), int(priority), parameters)


def _parse_slash(word: str, rest: str, *, bound: bool) -> Command | InvalidCommand:
    """A line that begins with a slash; Telegram adds the bot's name to commands in groups (``/task@bot``)."""
    name = word[1:].partition("@")[0].lower()
    if has_hidden_characters(word) or not word.isascii():
        candidates = closest_commands(normalized(word[:64]).lstrip("/").partition("@")[0])
        return InvalidCommand("The command has a look-alike or invisible character", "Type it again.", candidates)
    if name == "countersign":
        return _parse_named(rest, bound=bound) if rest else Help()
    if name not in NAMES:
        return _unknown(name)
    return _read_command(NAMES[name].name, rest, bound=bound)


def _parse_named(text: str, *, bound: bool) -> Command | InvalidCommand:
    """The text after ``countersign``: a command by its name, else plain text."""
    word, rest = split_first(text)
    if word.startswith("/"):
        return _parse_slash(word, rest, bound=bound)
    spec = NAMES.get(word.lower())
    return _read_command(spec.name, rest, bound=bound) if spec else _parse_plain(text, bound=bound)


def _parse_plain(text: str, *, bound: bool) -> Command | InvalidCommand:
    """Text without a slash."""
    stripped = text.lstrip(_AFTER_MENTION)
    free_text = text if bound else stripped
    word, rest = split_first(stripped)
    name = word.rstrip(_TRAILING_PUNCTUATION).lower()
    if name not in NAMES:
        return _misspelt(word, rest) or _free_text(free_text, bound=bound)
    name = NAMES[name].name
    if name == "task":
        return _free_text(free_text, bound=True) if bound else _free_text(rest, bound=False)
    if not _fits(name, rest):
        return _free_text(free_text, bound=bound)
    command = _read_command(name, rest, bound=bound)
    is_command = (
        name in _ALWAYS_COMMANDS or not rest or task_number(split_first(rest)[0]) is not None or name == "every"
    )
    if not isinstance(command, InvalidCommand):
        return command
    return replace(command, mend=_with_task_hint(command.mend)) if is_command else _free_text(free_text, bound=bound)


def _fits(name: str, rest: str) -> bool:
    """Whether the words after a command's name fit it, because sentences may also begin with "hold"."""
    if name == "hold":
        return not rest
    if name == "every":
        return leading_quote(rest) is not None
    if name in ("reply", "move"):  # files are moved more often than jobs
        return task_number(split_first(rest)[0]) is not None
    return name != "pick" or not rest or _SELECTION.match(rest) is not None


def _with_task_hint(mend: str | Advice) -> Advice:
    parts = (mend,) if isinstance(mend, str) else mend.parts
    return advise(*parts, " ", *_BEGIN_WITH_TASK.parts) if mend else _BEGIN_WITH_TASK


def _free_text(text: str, *, bound: bool) -> Command | InvalidCommand:
    """Text that is not a command: a reply in a task's conversation, a request elsewhere."""
    if bound:
        return Reply(None, text)
    return build_request(read_options(text, _OPTIONS, strict=False, in_repo=True))


def _read_command(name: str, rest: str, *, bound: bool) -> Command | InvalidCommand:
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
    return InvalidCommand("Unknown command", _SEE_ALL, closest_commands(topic))


def _misspelt(word: str, rest: str) -> InvalidCommand | None:
    """A word that was meant as a command: almost its name, and a task's number after it."""
    word_read = normalized(word[:64]).rstrip(_TRAILING_PUNCTUATION)
    candidates = closest_commands(word_read, cutoff=0.8)
    is_disguised = word_read in NAMES and word_read != word.rstrip(_TRAILING_PUNCTUATION).lower()
    if is_disguised or (candidates and task_number(split_first(rest)[0]) is not None):
        return InvalidCommand("Unknown command", _BEGIN_WITH_TASK, candidates)
    return None


def _unknown(name: str) -> InvalidCommand:
    candidates = HINTS.get(name) or closest_commands(name)
    return InvalidCommand("Unknown command", "" if candidates else _SEE_ALL, candidates)


def closest_commands(word: str, *, cutoff: float = 0.6) -> tuple[str, ...]:
    """The commands that a misspelt word probably means, at most two."""
    if len(word) > 32:
        return ()
    matches = difflib.get_close_matches(word, NAMES, n=2, cutoff=cutoff)
    return tuple(dict.fromkeys(NAMES[name].name for name in matches))


__all__ = ["COMMANDS", "build_request", "closest_commands", "parse"]
