"""Reads the arguments of the commands about the queue."""

from __future__ import annotations

import re
from typing import Final

from bot.commands.arguments import NAME, task_number
from bot.commands.model import Command, Hold, InvalidCommand, Move, Release
from bot.commands.reading import about, numbered, reason_of, usage_advice

_DASHES: Final = r"(?:--|[\u2014\u2013])"
_SCOPE: Final = re.compile(
    rf"{_DASHES}(?P<scope>lane|repo|endpoint)(?:\s{{0,8}}=\s{{0,8}}|\s{{1,8}})(?P<name>{NAME.pattern})(?=\s|$)",
    re.IGNORECASE | re.ASCII,
)
_PLACE: Final = re.compile(
    rf"{_DASHES}(?:(?P<end>first|last)|before(?:\s{{0,8}}=\s{{0,8}}|\s{{1,8}})(?P<before>#?[0-9]{{1,10}}))(?=\s|$)",
    re.IGNORECASE | re.ASCII,
)
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def read_hold(rest: str, _bound: bool) -> Command | InvalidCommand:
    """What is paused, if not all, and the reason."""
    scope, name, rest = _scope(rest)
    return Hold(reason_of(rest), scope, name)


def read_release(rest: str, _bound: bool) -> Command | InvalidCommand:
    """What goes on, if not all."""
    scope, name, rest = _scope(rest)
    if rest:
        others = ("resume_schedule",) if _ID.fullmatch(rest) else ()
        reason = about("release", "takes a lane, a repository or an endpoint")
        return InvalidCommand(reason, usage_advice("release"), others)
    return Release(scope, name)


def _scope(text: str) -> tuple[str | None, str, str]:
    """The option that names what is paused, its value, and the rest of the text."""
    match = _SCOPE.match(text)
    return (match["scope"].lower(), match["name"], text[match.end() :].strip()) if match else (None, "", text)


def read_move(rest: str, bound: bool) -> Command | InvalidCommand:
    """A number, the place, and the reason."""
    parsed = numbered("move", rest, bound=bound)
    if isinstance(parsed, InvalidCommand):
        return parsed
    number, place = parsed
    match = _PLACE.match(place)
    if match is None:
        return InvalidCommand(about("move", "needs --first, --last or --before and a task"), usage_advice("move"))
    before = task_number(match["before"] or "")
    reason = reason_of(place[match.end() :].strip())
    return Move(number, (match["end"] or "before").lower(), before, reason)
