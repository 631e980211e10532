"""Formats a command as the line that `parse` reads back."""

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
    m.ShowGpus: "gpu",
    m.OpenWeb: "web",
    m.ListSchedules: "schedules",
    m.Unschedule: "unschedule",
    m.PauseSchedule: "pause_schedule",
    m.ResumeSchedule: "resume_schedule",
}


def format_command(command: m.Command) -> str:
    """The line with a slash that `parse` reads as `command` in a place about one task."""
    match command:
        case m.Approve() | m.Pick() | m.Progress() | m.Extend():
            return _numbered_line(command)
        case m.Link() | m.Unlink() | m.Help() | m.Release():
            return _words_line(command)
        case m.Show() | m.Why() | m.Cancel() | m.Undo() | m.Merge() | m.Retry():
            return f"/{_WORDS[type(command)]}{_number(command.number)}"
        case m.Unschedule() | m.PauseSchedule() | m.ResumeSchedule():
            return f"/{_WORDS[type(command)]} {command.id}"
        case m.Queue() | m.ShowGpus() | m.OpenWeb() | m.ListSchedules():
            return f"/{_WORDS[type(command)]}"
        case _:
            return _text_line(command)


def _numbered_line(command: m.Approve | m.Pick | m.Progress | m.Extend) -> str:
    match command:
        case m.Approve(number, digest):
            return f"/approve{_number(number)}{f' {digest}' if digest else ''}"
        case m.Pick(number, selection):
            return f"/pick{f' #{number}' if number else ''} {selection}".rstrip()
        case m.Progress(number, since):
            return f"/progress{_number(number)}{f' --since {since}' if since else ''}"
        case m.Extend(number, tokens, steps, usd):
            amounts = (("tokens", tokens), ("steps", steps), ("usd", usd))
            return f"/extend{_number(number)}{_options(tuple((name, f'{n}' if n else None) for name, n in amounts))}"
        case _:
            assert_never(command)


def _words_line(command: m.Link | m.Unlink | m.Help | m.Release) -> str:
    match command:
        case m.Release(scope, name):
            return f"/release{_options(((scope, name),) if scope else ())}"
        case m.Link(word, confirmed):
            return f"/link{f' {word}' if word else ''}{' yes' if confirmed else ''}"
        case m.Unlink(surface, identity):
            return f"/unlink{f' {surface} {identity}' if surface else ''}"
        case m.Help(word):
            return f"/help{f' {word}' if word else ''}"
        case _:
            assert_never(command)


def _text_line(command: m.Ask | m.Reply | m.Reject | m.Diff | m.Hold | m.Move | m.Every) -> str:
    match command:
        case m.Ask():
            priority = str(command.priority) if command.priority else None
            sets = tuple(("set", f"{name}={value}") for name, value in command.parameters)
            options = (("repo", command.repo), ("lane", command.lane), ("priority", priority), *sets)
            return _escape_text(command, f"/task{_options(options)}", command.text)
        case m.Every():
            sets = tuple(("set", f"{name}={value}") for name, value in command.parameters)
            options = (("zone", command.zone), ("repo", command.repo), ("lane", command.lane), *sets)
            return f'/every "{command.when}"{_options(options)} -- {command.text}'
        case m.Reply(number, text):
            return _escape_text(command, f"/reply{_number(number)}", text)
        case m.Reject(number, text):
            return _escape_text(command, f"/reject{_number(number)}", text)
        case m.Diff(number, path):
            return _escape_text(command, f"/diff{_number(number)}", path or "")
        case m.Hold(text, scope, name):
            return _escape_text(command, f"/hold{_options(((scope, name),) if scope else ())}", text)
        case m.Move(number, to, before, text):
            place = f"before {before}" if before is not None else to
            return _escape_text(command, f"/move{_number(number)} --{place}", text)
        case _:
            assert_never(command)


def _number(number: int | None) -> str:
    return f" {number}" if number is not None else ""


def _options(options: tuple[tuple[str, str | None], ...]) -> str:
    return "".join(f" --{name} {value}" for name, value in options if value is not None)


def _escape_text(command: m.Command, prefix: str, text: str) -> str:
    """The line, with a lone ``--`` before a text that would otherwise be read as options."""
    plain = f"{prefix} {text}".strip()
    return plain if parse(plain, bound=True) == command else f"{prefix} -- {text}"
