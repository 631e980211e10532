"""What the readers of commands share: numbers, reasons, and sentences about a command that is written wrongly."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from bot.commands.arguments import split_first, task_number, unquote
from bot.commands.model import Command, InvalidCommand
from bot.commands.table import NAMES
from core.model.advice import Advice, CommandName, Suggestion, advise

CommandReader = Callable[[str, bool], Command | InvalidCommand]
"""Reads what follows a command's name; the second argument says whether the conversation is about a task."""

_REASON: Final = re.compile(r"(?:--|[\u2014\u2013])reason(?:\s{0,8}=\s{0,8}|\s{1,8})(?=\S)", re.IGNORECASE)
_IN_ZONE: Final = r"in\s{1,8}(?P<zone>[A-Z][A-Za-z_]{0,31}(?:/[A-Za-z0-9_+-]{1,31}){0,3})"


def usage_advice(name: str) -> Advice:
    """How to write a command."""
    spec = NAMES[name]
    return advise("Write ", Suggestion(CommandName(spec.name), args=tuple(spec.usage.split())), ".")


def about(name: str, text: str) -> Advice:
    """A sentence about a command, which it names in the form of the surface."""
    return advise(Suggestion(CommandName(NAMES[name].name)), f" {text}")


def numbered(name: str, rest: str, *, bound: bool) -> tuple[int | None, str] | InvalidCommand:
    """The task's number and the rest; None only if the conversation is about a task."""
    word, arguments = split_first(rest)
    number = task_number(word)
    if number is not None:
        return number, arguments
    if not bound:
        return number_missing(name)
    return None, rest


def number_missing(name: str) -> InvalidCommand:
    """The answer to a command that lacks the number of its task."""
    return InvalidCommand(f"/{name} needs the number of a task", usage_advice(name), is_number_missing=True)


def without_separator(text: str) -> str:
    """The text without a lone ``--`` at its start, which marks all of it as text."""
    word, rest = split_first(text)
    return rest if word == "--" else text


def reason_of(text: str) -> str:
    """The reason that a text gives, with or without ``--reason``."""
    match = _REASON.match(text)
    return unquote(text[match.end() :]) if match else without_separator(text)
