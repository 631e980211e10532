"""A coding-agent program, described: how it is called, what it finds in its home, and how its words are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from core.model.budget import Budget

PORT = 8091
"""Where the lane's model is, inside the sandbox."""
PROXY_PORT = 8092
"""Where the proxy to the lane's hosts is, inside the sandbox."""
HOME = "/home/lane"
"""The home folder inside the sandbox."""


@dataclass(frozen=True, slots=True)
class AgentPrompt:
    """What a program is sent to do: `task` is the whole prompt, `model` the name that its protocol uses."""

    task: str
    model: str
    budget: Budget = field(default_factory=Budget)
    context_tokens: int = 32_768
    url: str = f"http://127.0.0.1:{PORT}"


@dataclass(frozen=True, slots=True)
class AgentCommand:
    """One call: the words after the program's own, its environment, and the files of its home.

    With `also` a file of its home is told on after the program ended, behind a line of `MARK`.
    """

    words: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    home: Mapping[str, bytes] = field(default_factory=dict)
    also: str = ""


MARK = b"--- countersign: what it kept ---"
"""The line before a file that is told on."""


@dataclass(slots=True)
class AgentEvent:
    """What a program said of itself, none of which proves anything.

    `ended` is None for a program that does not say how it ended, else whether it said that all went well, and `why`
    what went wrong. `denied` names tools that it was not let use. `usd` is what it believes to have cost.
    """

    words: str = ""
    ended: bool | None = None
    why: str = ""
    denied: tuple[str, ...] = ()
    usd: float | None = None


class EventParser(Protocol):
    """Reads what a program says, line by line."""

    def line(self, line: bytes) -> None:
        """Take one line, without its end."""

    def heard(self) -> AgentEvent:
        """What it all came to."""


@dataclass(frozen=True, slots=True)
class AgentCliAdapter:
    """An agent program: `programs` are its names in the PATH, `speaks` the protocol of its model, `get` its package.

    `inner` finds the binary that a launcher would start, so that the launcher need not. `litter` are names that it may
    leave at the top of the work folder; `transcript` is what its output is kept as.
    """

    name: str
    programs: tuple[str, ...]
    speaks: str
    get: str
    call: Callable[[AgentPrompt], AgentCommand]
    ear: Callable[[], EventParser]
    inner: Callable[[Path], Path | None] | None = None
    litter: tuple[str, ...] = ()
    transcript: str = "transcript.jsonl"
