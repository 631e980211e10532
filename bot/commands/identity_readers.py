"""Reads the arguments of the commands about a person's identities."""

from __future__ import annotations

from bot.commands.arguments import split_first
from bot.commands.model import Command, InvalidCommand, Link, Unlink
from bot.commands.reading import about, usage_advice


def read_link(rest: str, _bound: bool) -> Command | InvalidCommand:
    """A name to be known by, or the code that proves an identity; without one, a code is asked for."""
    if not rest:
        return Link()
    target, confirmation = split_first(rest)
    if len(rest) > 64 or (confirmation and confirmation.lower() != "yes"):
        return InvalidCommand(about("link", "takes one name, or one code"), usage_advice("link"))
    return Link(target, confirmed=bool(confirmation))


def read_unlink(rest: str, _bound: bool) -> Command | InvalidCommand:
    """A surface and an id there; without them, this identity."""
    words = rest.split()
    if len(rest) > 128 or len(words) not in (0, 2):
        return InvalidCommand(about("unlink", "takes a surface and an id there"), usage_advice("unlink"))
    return Unlink(words[0].lower(), words[1]) if words else Unlink()
