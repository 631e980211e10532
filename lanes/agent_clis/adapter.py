"""The adapter interface of coding-agent programs: how to call one, and how to parse its output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from core.model.budget import Budget

MODEL_PORT = 8091
"""The port inside the sandbox that leads to the lane's model."""
PROXY_PORT = 8092
"""The port inside the sandbox of the proxy to the lane's hosts."""
HOME = "/home/lane"
"""The home folder inside the sandbox."""


@dataclass(frozen=True, slots=True)
class AgentPrompt:
    """What to ask a program: `task` is the whole prompt, `model` the model's name in the program's protocol."""

    task: str
    model: str
    budget: Budget = field(default_factory=Budget)
    context_tokens: int = 32_768
    url: str = f"http://127.0.0.1:{MODEL_PORT}"


@dataclass(frozen=True, slots=True)
class AgentCommand:
    """One call of a program: its arguments, environment and home files.

    If `printed_file` names a file, its content follows the program's output after a line of `FILE_MARK`.
    """

    args: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    home: Mapping[str, bytes] = field(default_factory=dict)
    printed_file: str = ""


FILE_MARK = b"--- countersign: what it kept ---"
"""The line between a program's output and the file that follows it."""


@dataclass(slots=True)
class AgentReport:
    """What a program reports about its run; all of it is untrusted.

    Attributes:
        last_message: Its last message.
        succeeded: Whether it reported success; None for a program that does not report it.
        error: Its error message.
        denied_tools: Tools that it was not allowed to use.
        cost_usd: The cost that it believes it caused.
    """

    last_message: str = ""
    succeeded: bool | None = None
    error: str = ""
    denied_tools: tuple[str, ...] = ()
    cost_usd: float | None = None


class EventParser(Protocol):
    """Parses a program's output line by line."""

    def feed(self, line: bytes) -> None:
        """Parse one line, given without its line ending."""

    def report(self) -> AgentReport:
        """What the lines so far amount to."""


@dataclass(frozen=True, slots=True)
class AgentCliAdapter:
    """How to run one agent program.

    Attributes:
        name: The executor's name.
        program_names: The program's names in the PATH.
        protocol: The protocol that it uses to reach its model.
        install_hint: How to install it.
        build_command: Builds the call for a prompt.
        new_parser: Creates a parser for its output.
        find_binary: Finds the binary that a launcher would start, so that the launcher is skipped; None for none.
        leftovers: Names that it may leave at the top of the work folder.
        transcript_name: The artifact name of its output.
    """

    name: str
    program_names: tuple[str, ...]
    protocol: str
    install_hint: str
    build_command: Callable[[AgentPrompt], AgentCommand]
    new_parser: Callable[[], EventParser]
    find_binary: Callable[[Path], Path | None] | None = None
    leftovers: tuple[str, ...] = ()
    transcript_name: str = "transcript.jsonl"
