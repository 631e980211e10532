"""Wording: advice and suggested commands as each surface writes them; pure.

``countersign show 12`` on the terminal is ``/show 12`` on Telegram and GitHub, and ``/countersign show 12`` on Slack,
whose only slash command is ours. Only values are worded here: text that is finished is never looked into, so what
people, repositories and models wrote is shown as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from core.model.advice import BLANK, Advice, CommandName, Suggestion
from core.model.errors import Problem, sentence_of

TERMINAL: Final = "terminal"
_STARTS: Final[Mapping[str, str]] = {"slack": "/countersign "}
"""What a command begins with on a surface; a slash alone on all others."""
_OPERATORS: Final = frozenset(
    {
        CommandName.TRANSCRIPT,
        CommandName.EXPLAIN,
        CommandName.DOCTOR,
        CommandName.INIT,
        CommandName.MIGRATE,
        CommandName.SERVE,
        CommandName.WORKER,
        CommandName.EVENTS,
        CommandName.LANES,
        CommandName.LANE_SEARCH,
        CommandName.PULL_MODEL,
    }
)
"""Commands that only the command line has."""
_IN_CHAT: Final[Mapping[CommandName, str]] = {name: name.value for name in CommandName if name not in _OPERATORS}
"""The commands that chats have, under their names there (`bot.commands.table`)."""
_BLANKS: Final[Mapping[CommandName, str]] = {
    CommandName.TASK: "TEXT",
    CommandName.REPLY: "TEXT",
    CommandName.REJECT: "REASON",
    CommandName.PICK: "HUNKS",
    CommandName.HOLD: "REASON",
    CommandName.UNSCHEDULE: "ID",
    CommandName.LINK: "NAME",
}
_BEGINNINGS: Final = frozenset(
    {"a", "an", "another", "everything", "it", "needs", "no", "nobody", "nothing", "policy", "that", "the", "there"}
    | {"this", "what", "whoever"}
)
"""Words of ours that problems begin with; any other word may be somebody's."""
_NOT_HERE: Final = "Ask whoever runs Countersign."


def command_line(suggestion: Suggestion, surface: str) -> str | None:
    """The command as it is typed on `surface`; None where it does not exist there."""
    if surface == TERMINAL:
        return suggestion.line()
    name = _IN_CHAT.get(suggestion.command)
    if name is None:
        return None
    blank = _BLANKS.get(suggestion.command, BLANK)
    words = [str(suggestion.number)] if suggestion.number is not None else []
    words += [blank if argument == BLANK else argument for argument in suggestion.args]
    return " ".join([f"{command_prefix(surface)}{name}", *words])


def portable_command(suggestion: Suggestion) -> str:
    """The command for a surface that is not known yet: as most have it, and as those do that have another form."""
    others = [f"on {surface.title()} {command_line(suggestion, surface)}" for surface in _STARTS]
    return f"{command_line(suggestion, '')} ({', '.join(others)})"


def command_prefix(surface: str) -> str:
    """What stands before a command's name on a surface where people chat."""
    return _STARTS.get(surface, "/")


def render_advice(text: str | Advice, surface: str) -> str:
    """Advice in the words of `surface`; where it lacks one of the commands, what to do there instead."""
    if isinstance(text, str):
        return text
    parts: list[str] = []
    for part in text.parts:
        line = part if isinstance(part, str) else command_line(part, surface)
        if line is None:
            return text.otherwise or _NOT_HERE
        parts.append(f"`{line}`" if surface == TERMINAL and not isinstance(part, str) else line)
    return "".join(parts)


def problem_sentence(problem: Problem, surface: str) -> str:
    """A problem and its mend as one line in the words of `surface`; in a chat it begins like a sentence."""
    said = sentence_of(problem.message, render_advice(problem.mend, surface))
    return said if surface == TERMINAL else capitalize(said)


def capitalize(text: str) -> str:
    """`text` with a capital at its beginning, unless that may be a name, a path or a value."""
    return f"{text[:1].upper()}{text[1:]}" if text.partition(" ")[0] in _BEGINNINGS else text
