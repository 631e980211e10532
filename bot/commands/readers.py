"""Reads the arguments of each command."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from zoneinfo import ZoneInfo

from bot.commands.arguments import (
    NAME,
    digest_prefix,
    leading_quote,
    read_options,
    read_parameters,
    split_first,
    task_number,
    unquote,
)
from bot.commands.model import (
    Approve,
    Cancel,
    Command,
    Diff,
    Every,
    Extend,
    Hold,
    InvalidCommand,
    Link,
    ListSchedules,
    Merge,
    Move,
    OpenWeb,
    PauseSchedule,
    Pick,
    Progress,
    Queue,
    Reject,
    Release,
    Reply,
    ResumeSchedule,
    Retry,
    Show,
    ShowGpus,
    Undo,
    Unlink,
    Unschedule,
    Why,
)
from bot.commands.table import NAMES
from core.model.advice import Advice, CommandName, Suggestion, advise

CommandReader = Callable[[str, bool], Command | InvalidCommand]

_SINCE: Final = re.compile(
    r"(?:--|[\u2014\u2013])?since(?:\s{0,8}=\s{0,8}|\s{1,8})([0-9]{1,5})\s{0,2}([mhdw])[a-z]{0,6}",
    re.IGNORECASE | re.ASCII,
)
_DASHES: Final = r"(?:--|[\u2014\u2013])"
_SCOPE: Final = re.compile(
    rf"{_DASHES}(?P<scope>lane|repo|endpoint)(?:\s{{0,8}}=\s{{0,8}}|\s{{1,8}})(?P<name>{NAME.pattern})(?=\s|$)",
    re.IGNORECASE | re.ASCII,
)
_PLACE: Final = re.compile(
    rf"{_DASHES}(?:(?P<end>first|last)|before(?:\s{{0,8}}=\s{{0,8}}|\s{{1,8}})(?P<before>#?[0-9]{{1,10}}))(?=\s|$)",
    re.IGNORECASE | re.ASCII,
)
_REASON: Final = re.compile(r"(?:--|[\u2014\u2013])reason(?:\s{0,8}=\s{0,8}|\s{1,8})(?=\S)", re.IGNORECASE)
_IN_ZONE: Final = r"in\s{1,8}(?P<zone>[A-Z][A-Za-z_]{0,31}(?:/[A-Za-z0-9_+-]{1,31}){0,3})"
_ZONE: Final = re.compile(rf"{_IN_ZONE}(?=\s|$)")
_ZONE_AFTER: Final = re.compile(rf"(?P<when>.{{1,200}}?)\s{{1,8}}{_IN_ZONE}", re.DOTALL)
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SCHEDULES: Final = advise("See them with ", Suggestion(CommandName.SCHEDULES), ".")
_QUOTES: Final = advise("Write for instance: ", Suggestion(CommandName.EVERY, args=('"weekday 09:00"', "TEXT")), ".")


def usage_advice(name: str) -> Advice:
    """How to write a command."""
    spec = NAMES[name]
    return advise("Write ", Suggestion(CommandName(spec.name), args=tuple(spec.usage.split())), ".")


def _about(name: str, text: str) -> Advice:
    """A sentence about a command, which it names in the form of the surface."""
    return advise(Suggestion(CommandName(NAMES[name].name)), f" {text}")


def is_zone(name: str) -> bool:
    """Whether `name` is an IANA time zone known on this host."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, not a plain name, or a folder of zones
        return False
    return True


def _numbered(name: str, rest: str, *, bound: bool) -> tuple[int | None, str] | InvalidCommand:
    """The task's number and the rest; None only if the conversation is about a task."""
    word, arguments = split_first(rest)
    number = task_number(word)
    if number is not None:
        return number, arguments
    if not bound:
        return _number_missing(name)
    return None, rest


def _number_missing(name: str) -> InvalidCommand:
    return InvalidCommand(f"/{name} needs the number of a task", usage_advice(name), is_number_missing=True)


def _without_separator(text: str) -> str:
    """The text without a lone ``--`` at its start, which marks all of it as text."""
    word, rest = split_first(text)
    return rest if word == "--" else text


def _reason(text: str) -> str:
    match = _REASON.match(text)
    return unquote(text[match.end() :]) if match else _without_separator(text)


def _only_number(name: str, command: type[Show | Why | Cancel | Undo | Merge | Retry]) -> CommandReader:
    def read(rest: str, bound: bool) -> Command | InvalidCommand:
        parsed = _numbered(name, rest, bound=bound)
        if isinstance(parsed, InvalidCommand):
            return parsed
        if parsed[1]:
            return InvalidCommand(_about(name, "takes the number of a task and nothing else"), usage_advice(name))
        return command(parsed[0])

    return read


def _reply(rest: str, bound: bool) -> Command | InvalidCommand:
    parsed = _numbered("reply", rest, bound=bound)
    if isinstance(parsed, InvalidCommand):
        return parsed
    text = _without_separator(parsed[1])
    return Reply(parsed[0], text) if text else InvalidCommand("The reply is empty", usage_advice("reply"))


def _approve(rest: str, bound: bool) -> Command | InvalidCommand:
    """A number and a digest, either of which may be missing: a digest has 20 digits or more, a number at most 10."""
    words = rest.split()
    position = 0
    number = None
    if words and (number := task_number(words[0])) is not None:
        position = 1
    elif not bound:
        return _number_missing("approve")
    if len(words) == position:
        return Approve(number)
    digest = digest_prefix(words[position])
    if digest is None or len(words) > position + 1:
        return InvalidCommand(
            _about("approve", "takes a number, a digest of hex digits, and nothing else"), usage_advice("approve")
        )
    return Approve(number, digest)


def _reject(rest: str, bound: bool) -> Command | InvalidCommand:
    parsed = _numbered("reject", rest, bound=bound)
    return parsed if isinstance(parsed, InvalidCommand) else Reject(parsed[0], _reason(parsed[1]))


_AMOUNT: Final = re.compile(r"[0-9][0-9_,]{0,17}")
_DOLLARS: Final = re.compile(r"\$?([0-9]{1,7}(?:\.[0-9]{1,6})?)")


def _extend(rest: str, bound: bool) -> Command | InvalidCommand:
    """A number and the amounts to add."""
    parsed = _numbered("extend", rest, bound=bound)
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
        return InvalidCommand(_about("extend", "takes a number, and amounts as options"), usage_advice("extend"))
    return Extend(parsed[0], amounts["tokens"], amounts["steps"], float(dollars[1]))


def _diff(rest: str, bound: bool) -> Command | InvalidCommand:
    parsed = _numbered("diff", rest, bound=bound)
    if isinstance(parsed, InvalidCommand):
        return parsed
    number, path = parsed
    if split_first(path)[0] == "--":
        return Diff(number, _without_separator(path) or None)
    unquoted = unquote(path)
    if unquoted == path and len(path.split()) > 1:
        return InvalidCommand(
            _about("diff", "takes the number of a task and one path"), "Put a path that has spaces into quotes."
        )
    return Diff(number, unquoted or None)


def _pick(rest: str, bound: bool) -> Command | InvalidCommand:
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
        return _number_missing("pick")
    selection = arguments if number is not None else rest
    return Pick(number, selection)


def _progress(rest: str, _bound: bool) -> Command | InvalidCommand:
    word, arguments = split_first(rest)
    number = task_number(word)
    rest = rest if number is None else arguments
    if not rest:
        return Progress(number)
    match = _SINCE.fullmatch(rest)
    if match is None:
        return InvalidCommand(
            _about("progress", "takes a number and --since with a time such as 30m, 2h or 1d"), usage_advice("progress")
        )
    return Progress(number, f"{int(match.group(1))}{match.group(2).lower()}")


def _without_arguments(name: str, command: type[Queue | ShowGpus | OpenWeb | ListSchedules]) -> CommandReader:
    def read(rest: str, _bound: bool) -> Command | InvalidCommand:
        return InvalidCommand(_about(name, "takes nothing after it"), usage_advice(name)) if rest else command()

    return read


def _hold(rest: str, _bound: bool) -> Command | InvalidCommand:
    scope, name, rest = _scope(rest)
    return Hold(_reason(rest), scope, name)


def _release(rest: str, _bound: bool) -> Command | InvalidCommand:
    scope, name, rest = _scope(rest)
    if rest:
        others = ("resume_schedule",) if _ID.fullmatch(rest) else ()
        reason = _about("release", "takes a lane, a repository or an endpoint")
        return InvalidCommand(reason, usage_advice("release"), others)
    return Release(scope, name)


def _scope(text: str) -> tuple[str | None, str, str]:
    """The option that names what is paused, its value, and the rest of the text."""
    match = _SCOPE.match(text)
    return (match["scope"].lower(), match["name"], text[match.end() :].strip()) if match else (None, "", text)


def _move(rest: str, bound: bool) -> Command | InvalidCommand:
    parsed = _numbered("move", rest, bound=bound)
    if isinstance(parsed, InvalidCommand):
        return parsed
    number, place = parsed
    match = _PLACE.match(place)
    if match is None:
        return InvalidCommand(_about("move", "needs --first, --last or --before and a task"), usage_advice("move"))
    before = task_number(match["before"] or "")
    reason = _reason(place[match.end() :].strip())
    return Move(number, (match["end"] or "before").lower(), before, reason)


def _every(rest: str, _bound: bool) -> Command | InvalidCommand:
    quote = leading_quote(rest)
    if quote is None or not quote[0]:
        return InvalidCommand(_about("every", "needs the time in quotes"), _QUOTES)
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
        return InvalidCommand(_about("every", "needs what to ask for"), _QUOTES)
    parameters = read_parameters(words.options.get("set", ""))
    if isinstance(parameters, InvalidCommand):
        return parameters
    zone = zones[0] if zones else None
    return Every(when, words.text, words.options.get("repo"), words.options.get("lane"), zone, parameters)


def _with_id(name: str, command: type[Unschedule | PauseSchedule | ResumeSchedule]) -> CommandReader:
    def read(rest: str, _bound: bool) -> Command | InvalidCommand:
        if not _ID.fullmatch(rest):
            return InvalidCommand(
                _about(name, "needs the id of a recurring request"),
                advise("See them with ", Suggestion(CommandName.SCHEDULES), "."),
            )
        return command(rest.lower())

    return read


def _link(rest: str, _bound: bool) -> Command | InvalidCommand:
    if not rest:
        return Link()
    target, confirmation = split_first(rest)
    if len(rest) > 64 or (confirmation and confirmation.lower() != "yes"):
        return InvalidCommand(_about("link", "takes one name, or one code"), usage_advice("link"))
    return Link(target, confirmed=bool(confirmation))


def _unlink(rest: str, _bound: bool) -> Command | InvalidCommand:
    words = rest.split()
    if len(rest) > 128 or len(words) not in (0, 2):
        return InvalidCommand(_about("unlink", "takes a surface and an id there"), usage_advice("unlink"))
    return Unlink(words[0].lower(), words[1]) if words else Unlink()


READERS: Final[dict[str, CommandReader]] = {
    "reply": _reply,
    "approve": _approve,
    "reject": _reject,
    "show": _only_number("show", Show),
    "diff": _diff,
    "why": _only_number("why", Why),
    "pick": _pick,
    "progress": _progress,
    "retry": _only_number("retry", Retry),
    "cancel": _only_number("cancel", Cancel),
    "extend": _extend,
    "merge": _only_number("merge", Merge),
    "undo": _only_number("undo", Undo),
    "queue": _without_arguments("queue", Queue),
    "gpu": _without_arguments("gpu", ShowGpus),
    "hold": _hold,
    "release": _release,
    "move": _move,
    "every": _every,
    "schedules": _without_arguments("schedules", ListSchedules),
    "unschedule": _with_id("unschedule", Unschedule),
    "pause_schedule": _with_id("pause_schedule", PauseSchedule),
    "resume_schedule": _with_id("resume_schedule", ResumeSchedule),
    "link": _link,
    "unlink": _unlink,
    "web": _without_arguments("web", OpenWeb),
}
"""The readers of all commands but `task` and `help`, which `bot.commands.parse` reads itself."""
