"""Reads the arguments of the commands about one task."""

from __future__ import annotations

import re
from typing import Final

from bot.commands.arguments import digest_prefix, read_options, split_first, task_number, unquote
from bot.commands.model import Approve, Command, Diff, Extend, InvalidCommand, Pick, Progress, Reject, Reply
from bot.commands.reading import about, number_missing, numbered, reason_of, usage_advice, without_separator
from core.model.advice import CommandName, Suggestion, advise

_SINCE: Final = re.compile(
    r"(?:--|[\u2014\u2013])?since(?:\s{0,8}=\s{0,8}|\s{1,8})([0-9]{1,5})\s{0,2}([mhdw])[a-z]{0,6}",
    re.IGNORECASE | re.ASCII,
)
_AMOUNT: Final = re.compile(r"[0-9][0-9_,]{0,17}")
_DOLLARS: Final = re.compile(r"\$?([0-9]{1,7}(?:\.[0-9]{1,6})?)")


def read_reply(rest: str, bound: bool) -> Command | InvalidCommand:
    """A number and the text."""
    parsed = numbered("reply", rest, bound=bound)
    if isinstance(parsed, InvalidCommand):
        return parsed
    text = without_separator(parsed[1])
    return Reply(parsed[0], text) if text else InvalidCommand("The reply is empty", usage_advice("reply"))


def read_approve(rest: str, bound: bool) -> Command | InvalidCommand:
    """A number and a digest, either of which may be missing: a digest has 20 digits or more, a number at most 10."""
    words = rest.split()
    position = 0
    number = None
    if words and (number := task_number(words[0])) is not None:
        position = 1
    elif not bound:
        return number_missing("approve")
    if len(words) == position:
        return Approve(number)
    digest = digest_prefix(words[position])
    if digest is None or len(words) > position + 1:
        return InvalidCommand(
            about("approve", "takes a number, a digest of hex digits, and nothing else"), usage_advice("approve")
        )
    return Approve(number, digest)


def read_reject(rest: str, bound: bool) -> Command | InvalidCommand:
    """A number and the reason."""
    parsed = numbered("reject", rest, bound=bound)
    return parsed if isinstance(parsed, InvalidCommand) else Reject(parsed[0], reason_of(parsed[1]))


def read_extend(rest: str, bound: bool) -> Command | InvalidCommand:
    """A number and the amounts to add."""
    parsed = numbered("extend", rest, bound=bound)
    if isinstance(parsed, InvalidCommand):
        return parsed
    words = read_options(parsed[1], ("tokens", "steps", "usd"), strict=True)
    if isinstance(words, InvalidCommand):
        return words
    amounts: dict[str, int] = {}
    for name in ("tokens", "steps"):
        value = words.options.get(name, "0")
        if not _AMOUNT.fullmatch(value) or (name in words.options and not value.strip("0_,")):
            return InvalidCommand(f"--{name} {value[:20]} is not an amount", usage_advice("extend"))
        amounts[name] = int(value.replace(",", "").replace("_", ""))
    dollars = _DOLLARS.fullmatch(words.options.get("usd", "0"))
    if dollars is None or ("usd" in words.options and not float(dollars[1])):
        return InvalidCommand(f"--usd {words.options['usd'][:20]} is not an amount", usage_advice("extend"))
    if words.text:
        return InvalidCommand(about("extend", "takes a number, and amounts as options"), usage_advice("extend"))
    return Extend(parsed[0], amounts["tokens"], amounts["steps"], float(dollars[1]))


def read_diff(rest: str, bound: bool) -> Command | InvalidCommand:
    """A number and perhaps a path."""
    parsed = numbered("diff", rest, bound=bound)
    if isinstance(parsed, InvalidCommand):
        return parsed
    number, path = parsed
    if split_first(path)[0] == "--":
        return Diff(number, without_separator(path) or None)
    unquoted = unquote(path)
    if unquoted == path and len(path.split()) > 1:
        return InvalidCommand(
            about("diff", "takes the number of a task and one path"), "Put a path that has spaces into quotes."
        )
    return Diff(number, unquoted or None)


def read_pick(rest: str, bound: bool) -> Command | InvalidCommand:
    """A number and a selection; if the number is optional, it needs its # to be distinguished from a hunk."""
    word, arguments = split_first(rest)
    number = task_number(word)
    if bound and number is not None and not word.startswith("#"):
        if arguments and split_first(arguments)[0].lower() != "not":
            pick = Suggestion(CommandName.PICK, args=(f"#{number}", arguments[:40]))
            mend = advise("Write ", pick, f" for task #{number}, or put commas between the hunks.")
            return InvalidCommand(f"It is not clear whether {number} is a task or a hunk", mend)
        return Pick(None, rest)
    if number is None and not bound:
        return number_missing("pick")
    selection = arguments if number is not None else rest
    return Pick(number, selection)


def read_progress(rest: str, _bound: bool) -> Command | InvalidCommand:
    """A number and perhaps since when."""
    word, arguments = split_first(rest)
    number = task_number(word)
    rest = rest if number is None else arguments
    if not rest:
        return Progress(number)
    match = _SINCE.fullmatch(rest)
    if match is None:
        return InvalidCommand(
            about("progress", "takes a number and --since with a time such as 30m, 2h or 1d"), usage_advice("progress")
        )
    return Progress(number, f"{int(match.group(1))}{match.group(2).lower()}")
