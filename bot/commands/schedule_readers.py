"""Reads the arguments of the commands about recurring requests."""

from __future__ import annotations

import re
from typing import Final
from zoneinfo import ZoneInfo

from bot.commands.arguments import NAME, leading_quote, read_options, read_parameters
from bot.commands.model import Command, Every, InvalidCommand, PauseSchedule, ResumeSchedule, Unschedule
from bot.commands.reading import CommandReader, about
from core.model.advice import CommandName, Suggestion, advise

_IN_ZONE: Final = r"in\s{1,8}(?P<zone>[A-Z][A-Za-z_]{0,31}(?:/[A-Za-z0-9_+-]{1,31}){0,3})"
_ZONE: Final = re.compile(rf"{_IN_ZONE}(?=\s|$)")
_ZONE_AFTER: Final = re.compile(rf"(?P<when>.{{1,200}}?)\s{{1,8}}{_IN_ZONE}", re.DOTALL)
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_QUOTES: Final = advise("Write for instance: ", Suggestion(CommandName.EVERY, args=('"weekday 09:00"', "TEXT")), ".")


def is_zone(name: str) -> bool:
    """Whether `name` is an IANA time zone known on this host."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, not a plain name, or a folder of zones
        return False
    return True


def read_every(rest: str, _bound: bool) -> Command | InvalidCommand:
    """The time in quotes, perhaps a zone and options, and what to ask for."""
    quote = leading_quote(rest)
    if quote is None or not quote[0]:
        return InvalidCommand(about("every", "needs the time in quotes"), _QUOTES)
    when, rest = quote
    zones = []
    zone_match = _ZONE_AFTER.fullmatch(when)
    if zone_match is not None and is_zone(zone_match["zone"]):
        when, zone = zone_match["when"].strip(), zone_match["zone"]
        zones.append(zone)
    leading_zone = _ZONE.match(rest)
    if leading_zone is not None and is_zone(leading_zone["zone"]):
        zones.append(leading_zone["zone"])
        rest = rest[leading_zone.end() :].strip()
    words = read_options(rest, ("repo", "lane", "zone", "set"), strict=True, in_repo=True)
    if isinstance(words, InvalidCommand):
        return words
    zones += [words.options["zone"]] if "zone" in words.options else []
    for name in ("repo", "lane"):
        if name in words.options and not NAME.fullmatch(words.options[name]):
            return InvalidCommand(f"--{name} is not a valid name", "Write it as in countersign.yaml.")
    if len(zones) > 1:
        return InvalidCommand("The time zone is given twice", "Give it once.")
    if not words.text:
        return InvalidCommand(about("every", "needs what to ask for"), _QUOTES)
    parameters = read_parameters(words.options.get("set", ""))
    if isinstance(parameters, InvalidCommand):
        return parameters
    zone = zones[0] if zones else None
    return Every(when, words.text, words.options.get("repo"), words.options.get("lane"), zone, parameters)


def with_id(name: str, command: type[Unschedule | PauseSchedule | ResumeSchedule]) -> CommandReader:
    """A reader of the id of a recurring request."""

    def read(rest: str, _bound: bool) -> Command | InvalidCommand:
        if not _ID.fullmatch(rest):
            return InvalidCommand(
                about(name, "needs the id of a recurring request"),
                advise("See them with ", Suggestion(CommandName.SCHEDULES), "."),
            )
        return command(rest.lower())

    return read
