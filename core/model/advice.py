"""What a person can do about a problem, with the suggested commands as values.

Every surface writes commands in its own form and lacks some of them, so core never puts a command into a sentence. An
`Advice` consists of texts and `Suggestion` values, and `bot.cards.problem_text` renders it for the surface. Its `str`
is the command-line wording, which ``mend`` holds in the documents of contract.md.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from core.model.stored import StoredObject, StoredValueError

BLANK: Final = "…"
"""The argument that the person fills in."""
_VERSION: Final = 1
_NEEDS_NO_QUOTES: Final = re.compile(r"[\w@%+=:,./\-]+", re.ASCII)
_SPECIAL_IN_QUOTES: Final = frozenset('"$`\\!')
"""Characters that a shell interprets between double quotes."""


class CommandName(StrEnum):
    """The commands that can be suggested; a surface may lack any of them."""

    TASK = "task"
    REPLY = "reply"
    APPROVE = "approve"
    REJECT = "reject"
    SHOW = "show"
    DIFF = "diff"
    TRANSCRIPT = "transcript"
    WHY = "why"
    EXPLAIN = "explain"
    PICK = "pick"
    PROGRESS = "progress"
    RETRY = "retry"
    CANCEL = "cancel"
    EXTEND = "extend"
    MERGE = "merge"
    UNDO = "undo"
    QUEUE = "queue"
    GPU = "gpu"
    HOLD = "hold"
    RELEASE = "release"
    MOVE = "move"
    EVERY = "every"
    SCHEDULES = "schedules"
    UNSCHEDULE = "unschedule"
    PAUSE_SCHEDULE = "pause_schedule"
    RESUME_SCHEDULE = "resume_schedule"
    LINK = "link"
    UNLINK = "unlink"
    WEB = "web"
    HELP = "help"
    DOCTOR = "doctor"
    INIT = "init"
    MIGRATE = "migrate"
    SERVE = "serve"
    WORKER = "worker"
    EVENTS = "events"
    LANES = "lanes"
    LANE_SEARCH = "lane search"
    PULL_MODEL = "pull model"


_TERMINAL: Final[Mapping[CommandName, str]] = {
    CommandName.TASK: "ask {args}",
    CommandName.REJECT: "reject {number} --reason {args}",
    CommandName.DIFF: "show {number} --diff",
    CommandName.TRANSCRIPT: "show {number} --transcript",
    CommandName.EXPLAIN: "policy explain",
    CommandName.PROGRESS: "list",
    CommandName.RETRY: "reply {number} retry",
    CommandName.QUEUE: "queue",
    CommandName.GPU: "endpoints",
    CommandName.HOLD: "pause {args}",
    CommandName.RELEASE: "resume {args}",
    CommandName.EVERY: "every {args}",
    CommandName.SCHEDULES: "schedules",
    CommandName.UNSCHEDULE: "unschedule {args}",
    CommandName.LINK: "link {args}",
    CommandName.UNLINK: "unlink {args}",
    CommandName.WEB: "sign-in",
    CommandName.HELP: "--help",
    CommandName.DOCTOR: "doctor",
    CommandName.INIT: "init {args}",
    CommandName.MIGRATE: "migrate",
    CommandName.SERVE: "serve",
    CommandName.WORKER: "worker",
    CommandName.EVENTS: "events --json",
    CommandName.LANES: "lane list",
    CommandName.LANE_SEARCH: "lane search",
    CommandName.PULL_MODEL: "models pull {args}",
}
_DEFAULT_FORM: Final = "{number} {args}"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A suggested command with its task number and arguments.

    A `number` of None means the task that the problem is about, or no task where the command takes none. An argument
    that is `BLANK` stands for words that the person chooses.
    """

    command: CommandName
    number: int | None = None
    args: tuple[str, ...] = ()

    def line(self) -> str:
        """The command as typed on the command line."""
        form = _TERMINAL.get(self.command, f"{self.command.value} {_DEFAULT_FORM}")
        number = "" if self.number is None else str(self.number)
        return " ".join(f"countersign {form}".format(number=number, args=" ".join(map(_quoted, self.args))).split())

    def to_json(self) -> dict[str, Any]:
        """The suggestion in its stored form."""
        return {"command": self.command.value, "number": self.number, "args": list(self.args)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Suggestion:
        """The suggestion that `to_json` wrote."""
        stored = StoredObject(value, "a suggested command")
        try:
            command = CommandName(stored["command"])
        except ValueError as error:
            raise StoredValueError(f"a newer Countersign suggested the command {stored['command']!r}") from error
        return cls(command, stored.get("number"), tuple(stored.get("args", ())))


@dataclass(frozen=True, slots=True)
class Advice:
    """Texts and suggested commands, in the order of the sentence.

    `otherwise` is the advice for a surface that lacks one of the commands: what to do there, or who can help.
    """

    parts: tuple[str | Suggestion, ...]
    otherwise: str = ""

    def __str__(self) -> str:
        """The command-line wording."""
        return "".join(part if isinstance(part, str) else f"`{part.line()}`" for part in self.parts)

    def __contains__(self, words: str) -> bool:
        """Whether the command-line wording contains `words`."""
        return words in str(self)

    def about(self, number: int) -> Advice:
        """The same advice, with the task's number in suggestions that have none."""
        return replace(self, parts=tuple(_about(part, number) for part in self.parts))

    def masked(self, mask: Callable[[str], str]) -> Advice:
        """The same advice with `mask` applied to its texts."""
        parts = tuple(mask(part) if isinstance(part, str) else part for part in self.parts)
        return replace(self, parts=parts, otherwise=mask(self.otherwise))

    def to_json(self) -> dict[str, Any]:
        """The advice in its stored form."""
        parts = [part if isinstance(part, str) else part.to_json() for part in self.parts]
        return {"version": _VERSION, "parts": parts, "otherwise": self.otherwise}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Advice:
        """The advice that `to_json` wrote."""
        stored = StoredObject(value, "advice", newest=_VERSION, version_key="version")
        parts = (part if isinstance(part, str) else Suggestion.from_json(part) for part in stored["parts"])
        return cls(tuple(parts), stored.get("otherwise", ""))


def advise(*parts: str | Suggestion, otherwise: str = "") -> Advice:
    """Build advice from texts and suggestions."""
    return Advice(parts, otherwise)


def _about(part: str | Suggestion, number: int) -> str | Suggestion:
    return replace(part, number=number) if isinstance(part, Suggestion) and part.number is None else part


def _quoted(argument: str) -> str:
    """An argument quoted for a shell."""
    if _NEEDS_NO_QUOTES.fullmatch(argument):
        return argument
    return shlex.quote(argument) if _SPECIAL_IN_QUOTES & set(argument) else f'"{argument}"'


DOCTOR: Final = Advice(
    ("Run ", Suggestion(CommandName.DOCTOR), "."), otherwise="Ask the operator of Countersign to run its doctor."
)
"""What to do when part of the installation is broken."""
RESTORE: Final = Advice(
    ("Run ", Suggestion(CommandName.INIT), ", or restore it."),
    otherwise="Ask the operator of Countersign to restore it.",
)
"""What to do when part of the home is missing."""
