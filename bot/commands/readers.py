"""How the words after each command's name are read."""

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
    Hold,
    InvalidCommand,
    Link,
    Merge,
    PauseSchedule,
    Pick,
    Progress,
    Queue,
    Reject,
    Release,
    Reply,
    ResumeSchedule,
    Retry,
    Schedules,
    Show,
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
_REASON: Final = re.compile(r"(?:--|[\u2014\u2013])reason(?:\s{0,8}=\s{0,8}|\s{1,8})(?=\S)", re.IGNORECASE)
_IN_ZONE: Final = r"in\s{1,8}(?P<zone>[A-Z][A-Za-z_]{0,31}(?:/[A-Za-z0-9_+-]{1,31}){0,3})"
_ZONE: Final = re.compile(rf"{_IN_ZONE}(?=\s|$)")
_ZONE_AFTER: Final = re.compile(rf"(?P<when>.{{1,200}}?)\s{{1,8}}{_IN_ZONE}", re.DOTALL)
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SCHEDULES: Final = advise("See them with ", Suggestion(CommandName.SCHEDULES), ".")
_QUOTES: Final = advise("Write for instance: ", Suggestion(CommandName.EVERY, args=('"weekday 09:00"', "TEXT")), ".")


def usage_advice(name: str) -> Advice:
    """How a command is written."""
    spec = NAMES[name]
    return advise("Write ", Suggestion(CommandName(spec.name), args=tuple(spec.usage.split())), ".")


def _told(name: str, words: str) -> Advice:
    """Something about a command, named as it is written."""
    return advise(Suggestion(CommandName(NAMES[name].name)), f" {words}")


def is_zone(name: str) -> bool:
    """Whether `name` is an IANA time zone of this host."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, no plain name, or a folder of zones
        return False
    return True


def _numbered(name: str, rest: str, *, bound: bool) -> tuple[int | None, str] | InvalidCommand:
    """The task's number and what follows it; None only where the place is about a task."""
    word, more = split_first(rest)
    found = task_number(word)
    if found is not None:
        return found, more
    if not bound:
        return _lacking(name)
    return None, rest


def _lacking(name: str) -> InvalidCommand:
    return InvalidCommand(f"/{name} needs the number of a task", usage_advice(name), is_number_missing=True)


def _verbatim(text: str) -> str:
    """A text that may begin with a lone ``--``, which says that nothing of it is meant for us."""
    word, rest = split_first(text)
    return rest if word == "--" else text


def _reason(text: str) -> str:
    found = _REASON.match(text)
    return unquote(text[found.end() :]) if found else _verbatim(text)


def _only_number(name: str, make: type[Show | Why | Cancel | Undo | Merge | Retry]) -> CommandReader:
    def read(rest: str, bound: bool) -> Command | InvalidCommand:
        found = _numbered(name, rest, bound=bound)
        if isinstance(found, InvalidCommand):
            return found
        if found[1]:
            return InvalidCommand(_told(name, "takes the number of a task and nothing else"), usage_advice(name))
        return make(found[0])

    return read


def _reply(rest: str, bound: bool) -> Command | InvalidCommand:
    found = _numbered("reply", rest, bound=bound)
    if isinstance(found, InvalidCommand):
        return found
    text = _verbatim(found[1])
    return Reply(found[0], text) if text else InvalidCommand("The reply is empty", usage_advice("reply"))


def _approve(rest: str, bound: bool) -> Command | InvalidCommand:
    """A number and a digest, each of which may be missing: a digest has 20 digits and more, a number at most 10."""
    words = rest.split()
    at = 0
    named = None
    if words and (named := task_number(words[0])) is not None:
        at = 1
    elif not bound:
        return _lacking("approve")
    if len(words) == at:
        return Approve(named)
    signed = digest_prefix(words[at])
    if signed is None or len(words) > at + 1:
        return InvalidCommand(
            _told("approve", "takes a number, a digest of hex digits, and nothing else"), usage_advice("approve")
        )
    return Approve(named, signed)


def _reject(rest: str, bound: bool) -> Command | InvalidCommand:
    found = _numbered("reject", rest, bound=bound)
    return found if isinstance(found, InvalidCommand) else Reject(found[0], _reason(found[1]))


def _diff(rest: str, bound: bool) -> Command | InvalidCommand:
    found = _numbered("diff", rest, bound=bound)
    if isinstance(found, InvalidCommand):
        return found
    named, path = found
    if split_first(path)[0] == "--":
        return Diff(named, _verbatim(path) or None)
    single = unquote(path)
    if single == path and len(path.split()) > 1:
        return InvalidCommand(
            _told("diff", "takes the number of a task and one path"), "Put a path that has spaces into quotes."
        )
    return Diff(named, single or None)


def _pick(rest: str, bound: bool) -> Command | InvalidCommand:
    """A number and a selection; where the number may be left out, a plain one would be either, so it needs its #."""
    word, more = split_first(rest)
    named = task_number(word)
    if bound and named is not None and not word.startswith("#"):
        if more and split_first(more)[0].lower() != "not":
            pick = Suggestion(CommandName.PICK, args=(f"#{named}", more[:40]))
            mend = advise("Write ", pick, f" for task #{named}, or put commas between the hunks.")
            return InvalidCommand(f"It is not clear whether {named} is a task or a hunk", mend)
        return Pick(None, rest)
    if named is None and not bound:
        return _lacking("pick")
    what = more if named is not None else rest
    return Pick(named, what)


def _progress(rest: str, _bound: bool) -> Command | InvalidCommand:
    word, more = split_first(rest)
    named = task_number(word)
    rest = rest if named is None else more
    if not rest:
        return Progress(named)
    found = _SINCE.fullmatch(rest)
    if found is None:
        return InvalidCommand(
            _told("progress", "takes a number and --since with a time such as 30m, 2h or 1d"), usage_advice("progress")
        )
    return Progress(named, f"{int(found.group(1))}{found.group(2).lower()}")


def _nothing(name: str, make: type[Queue | Release | Schedules]) -> CommandReader:
    def read(rest: str, _bound: bool) -> Command | InvalidCommand:
        return InvalidCommand(_told(name, "takes nothing after it"), usage_advice(name)) if rest else make()

    return read


def _hold(rest: str, _bound: bool) -> Command | InvalidCommand:
    return Hold(_reason(rest))


def _every(rest: str, _bound: bool) -> Command | InvalidCommand:
    found = leading_quote(rest)
    if found is None or not found[0]:
        return InvalidCommand(_told("every", "needs the time in quotes"), _QUOTES)
    when, rest = found
    zones = []
    after = _ZONE_AFTER.fullmatch(when)
    if after is not None and is_zone(after["zone"]):
        when, zone = after["when"].strip(), after["zone"]
        zones.append(zone)
    named = _ZONE.match(rest)
    if named is not None and is_zone(named["zone"]):
        zones.append(named["zone"])
        rest = rest[named.end() :].strip()
    said = read_options(rest, ("repo", "lane", "zone", "set"), strict=True, in_repo=True)
    if isinstance(said, InvalidCommand):
        return said
    zones += [said.given["zone"]] if "zone" in said.given else []
    for name in ("repo", "lane"):
        if name in said.given and not NAME.fullmatch(said.given[name]):
            return InvalidCommand(f"--{name} is no plain name", "Write it as countersign.yaml has it.")
    if len(zones) > 1:
        return InvalidCommand("The time zone is said twice", "Say it once.")
    if not said.text:
        return InvalidCommand(_told("every", "needs what to ask for"), _QUOTES)
    parameters = read_parameters(said.given.get("set", ""))
    if isinstance(parameters, InvalidCommand):
        return parameters
    zone = zones[0] if zones else None
    return Every(when, said.text, said.given.get("repo"), said.given.get("lane"), zone, parameters)


def _named(name: str, make: type[Unschedule | PauseSchedule | ResumeSchedule]) -> CommandReader:
    def read(rest: str, _bound: bool) -> Command | InvalidCommand:
        if not _ID.fullmatch(rest):
            return InvalidCommand(
                _told(name, "needs the id of a recurring request"),
                advise("See them with ", Suggestion(CommandName.SCHEDULES), "."),
            )
        return make(rest.lower())

    return read


def _link(rest: str, _bound: bool) -> Command | InvalidCommand:
    if not rest:
        return Link()
    what, more = split_first(rest)
    if len(rest) > 64 or (more and more.lower() != "yes"):
        return InvalidCommand(_told("link", "takes one name, or one code"), usage_advice("link"))
    return Link(what, confirmed=bool(more))


def _unlink(rest: str, _bound: bool) -> Command | InvalidCommand:
    words = rest.split()
    if len(rest) > 128 or len(words) not in (0, 2):
        return InvalidCommand(_told("unlink", "takes a surface and an id there"), usage_advice("unlink"))
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
    "merge": _only_number("merge", Merge),
    "undo": _only_number("undo", Undo),
    "queue": _nothing("queue", Queue),
    "hold": _hold,
    "release": _nothing("release", Release),
    "every": _every,
    "schedules": _nothing("schedules", Schedules),
    "unschedule": _named("unschedule", Unschedule),
    "pause_schedule": _named("pause_schedule", PauseSchedule),
    "resume_schedule": _named("resume_schedule", ResumeSchedule),
    "link": _link,
    "unlink": _unlink,
}
"""Every command but `task` and `help`, which `bot.commands.parse` reads itself."""
