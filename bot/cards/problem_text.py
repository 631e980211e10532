"""Renders advice and suggested commands for a surface; pure.

``countersign show 12`` on the terminal is ``/show 12`` on Telegram and GitHub, and ``/countersign show 12`` on Slack,
which has only that slash command. Only values are rendered: finished text is never searched for commands, so text of
people, repositories and models is shown unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from core.model.advice import BLANK, Advice, CommandName, Suggestion
from core.model.errors import Problem, sentence_of

TERMINAL: Final = "terminal"
_PREFIXES: Final[Mapping[str, str]] = {"slack": "/countersign "}
"""The prefix of a command on a surface; all others use a slash."""
_TERMINAL_ONLY: Final = frozenset(
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
"""Commands that exist only on the command line."""
_IN_CHAT: Final[Mapping[CommandName, str]] = {name: name.value for name in CommandName if name not in _TERMINAL_ONLY}
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
_OWN_FIRST_WORDS: Final = frozenset(
    {"a", "an", "another", "everything", "it", "needs", "no", "nothing", "policy", "that", "the", "there"}
    | {"this", "what"}
)
"""First words of our own messages; any other word may be a name or a value."""
_ASK_OPERATOR: Final = "Ask the operator of Countersign."


def command_line(suggestion: Suggestion, surface: str) -> str | None:
    """The command as typed on `surface`; None if it does not exist there."""
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
    """The command for an unknown surface: in the most common form, and in the forms of the other surfaces."""
    variants = [f"on {surface.title()} {command_line(suggestion, surface)}" for surface in _PREFIXES]
    return f"{command_line(suggestion, '')} ({', '.join(variants)})"


def command_prefix(surface: str) -> str:
    """What precedes a command's name on a chat surface."""
    return _PREFIXES.get(surface, "/")


def render_advice(text: str | Advice, surface: str) -> str:
    """Advice as text for `surface`; if the surface lacks one of the commands, what to do instead."""
    if isinstance(text, str):
        return text
    parts: list[str] = []
    for part in text.parts:
        rendered = part if isinstance(part, str) else command_line(part, surface)
        if rendered is None:
            return text.otherwise or _ASK_OPERATOR
        parts.append(f"`{rendered}`" if surface == TERMINAL and not isinstance(part, str) else rendered)
    return "".join(parts)


def problem_sentence(problem: Problem, surface: str) -> str:
    """A problem and its mend as one line for `surface`; in a chat it begins with a capital."""
    sentence = sentence_of(problem.message, render_advice(problem.mend, surface))
    return sentence if surface == TERMINAL else capitalize(sentence)


def capitalize(text: str) -> str:
    """`text` with a capital first letter, unless it may begin with a name, a path or a value."""
    return f"{text[:1].upper()}{text[1:]}" if text.partition(" ")[0] in _OWN_FIRST_WORDS else text
