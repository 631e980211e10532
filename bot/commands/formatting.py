"""Writing: a command as the line that reads back as it."""

from __future__ import annotations

from typing import assert_never

from bot.commands import model as m
from bot.commands.parse import parse

_WORDS: dict[type, str] = {
    m.Show: "show",
    m.Why: "why",
    m.Cancel: "cancel",
    m.Undo: "undo",
    m.Merge: "merge",
    m.Retry: "retry",
    m.Queue: "queue",
    m.Release: "release",
    m.Schedules: "schedules",
    m.Unschedule: "unschedule",
    m.PauseSchedule: "pause_schedule",
    m.ResumeSchedule: "resume_schedule",
}


def format_command(command: m.Command) -> str:
    """The line with a slash that `parse` reads as `command`, in a place about a task where no number is named."""
    match command:
        case m.Approve(number, digest):
            return f"/approve{_number(number)}{f' {digest}' if digest else ''}"
        case m.Pick(number, what):
            return f"/pick{f' #{number}' if number else ''} {what}".rstrip()
        case m.Progress(number, since):
            return f"/progress{_number(number)}{f' --since {since}' if since else ''}"
        case m.Link() | m.Unlink() | m.Help():
            return _about_people(command)
        case m.Show() | m.Why() | m.Cancel() | m.Undo() | m.Merge() | m.Retry():
            return f"/{_WORDS[type(command)]}{_number(command.number)}"
        case m.Unschedule() | m.PauseSchedule() | m.ResumeSchedule():
            return f"/{_WORDS[type(command)]} {command.id}"
        case m.Queue() | m.Release() | m.Schedules():
            return f"/{_WORDS[type(command)]}"
        case _:
            return _with_text(command)


def _about_people(command: m.Link | m.Unlink | m.Help) -> str:
    match command:
        case m.Link(word, confirmed):
            return f"/link{f' {word}' if word else ''}{' yes' if confirmed else ''}"
        case m.Unlink(surface, identity):
            return f"/unlink{f' {surface} {identity}' if surface else ''}"
        case m.Help(word):
            return f"/help{f' {word}' if word else ''}"
        case _:
            assert_never(command)


def _with_text(command: m.Ask | m.Reply | m.Reject | m.Diff | m.Hold | m.Every) -> str:
    match command:
        case m.Ask():
            priority = str(command.priority) if command.priority else None
            sets = tuple(("set", f"{name}={value}") for name, value in command.parameters)
            given = (("repo", command.repo), ("lane", command.lane), ("priority", priority), *sets)
            return _escaped(command, f"/task{_options(given)}", command.text)
        case m.Every():
            sets = tuple(("set", f"{name}={value}") for name, value in command.parameters)
            given = (("zone", command.zone), ("repo", command.repo), ("lane", command.lane), *sets)
            return f'/every "{command.when}"{_options(given)} -- {command.text}'
        case m.Reply(number, text):
            return _escaped(command, f"/reply{_number(number)}", text)
        case m.Reject(number, text):
            return _escaped(command, f"/reject{_number(number)}", text)
        case m.Diff(number, path):
            return _escaped(command, f"/diff{_number(number)}", path or "")
        case m.Hold(text):
            return _escaped(command, "/hold", text)
        case _:
            assert_never(command)


def _number(number: int | None) -> str:
    return f" {number}" if number is not None else ""


def _options(given: tuple[tuple[str, str | None], ...]) -> str:
    return "".join(f" --{name} {value}" for name, value in given if value is not None)


def _escaped(command: m.Command, begin: str, text: str) -> str:
    """The line, with a lone ``--`` before the text where something of it would be read as meant for us."""
    plain = f"{begin} {text}".strip()
    return plain if parse(plain, bound=True) == command else f"{begin} -- {text}"
