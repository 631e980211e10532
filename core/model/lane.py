"""A lane: a named capability to write, and the limits of what it may change."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.model.budget import Budget
from core.model.workflow import APPROVAL, CHECK, EDIT, REVERT, Parameter, WorkflowStep

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds of one change and of the work that makes it.

    `files`, `bytes` and `file_bytes` bound the change (sums over new blobs); `wall_s`, `memory_mib`,
    `processes` and `log_bytes` bound the executor.
    """

    files: int = 50
    bytes: int = MIB
    file_bytes: int = MIB
    wall_s: int = 300
    memory_mib: int = 2048
    processes: int = 256
    log_bytes: int = MIB

    def tightened(self, other: Limits) -> Limits:
        """The stricter of both, bound by bound."""
        return Limits(*(min(getattr(self, f), getattr(other, f)) for f in self.__slots__))


@dataclass(frozen=True, slots=True)
class LaneCheck:
    """A command that judges what was made: 0 is good. One that fails is shown; a `required` one blocks.

    `wall_s` 0 means the lane's own.
    """

    name: str
    command: tuple[str, ...]
    wall_s: int = 0
    required: bool = False


@dataclass(frozen=True, slots=True)
class Isolation:
    """In what a lane's programs run: `kind` is bwrap, podman, docker or landlock.

    `image` is the container's, for the two that have one. `hosts` may be reached over https through a proxy that
    logs; without any there is no way out but to the lane's model.
    """

    kind: str = "bwrap"
    image: str = ""
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AgentCli:
    """An agent program that a lane file describes: how it is called, what it needs, how its words are read.

    `argv` may hold ``{task}`` and ``{model}``; `speaks` is the protocol of its model (anthropic, openai, gemini),
    `events` how it reports (jsonl or text), `success` the value that its last event must have (``key=value``).
    """

    argv: tuple[str, ...]
    speaks: str = "openai"
    environment: tuple[tuple[str, str], ...] = ()
    home: tuple[tuple[str, str], ...] = ()
    events: str = "text"
    success: str = ""


@dataclass(frozen=True, slots=True)
class Lane:
    """Which paths may be written, by which executor, within which limits.

    `write` and `protect` are anchored globs in gitignore style, judged from the repository's root;
    `protect` adds to what every lane protects. `models` are ``endpoint/name``, the first that answers is used.
    `checks` judge the result; a failing one goes back to the executor at most `retries` times. With the executor
    `workflow` it works in `steps`, as the request's `parameters` say; `version` is its file's own. `whole` is what the
    lane may write where this is one step of it, which may not go beyond.
    """

    name: str
    describe: str
    write: tuple[str, ...]
    executor: str
    limits: Limits = Limits()
    command: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    protect: tuple[str, ...] = ()
    binaries: bool = False
    executables: bool = False
    odd_names: bool = False
    bidi: bool = False
    needs: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    budget: Budget = field(default_factory=Budget)
    checks: tuple[LaneCheck, ...] = ()
    retries: int = 1
    isolation: Isolation = Isolation()
    agent: AgentCli | None = None
    version: int = 1
    parameters: tuple[Parameter, ...] = ()
    steps: tuple[WorkflowStep, ...] = ()
    source: str = ""
    whole: tuple[str, ...] = ()

    @property
    def executors(self) -> frozenset[str]:
        """The names of what makes changes in it: its executor, or those of its steps; checks and approvals change none.

        A revert is made by rule, as an edit is.
        """
        if not self.steps:
            return frozenset({self.executor})
        kinds = {step.run for step in self.steps} - {CHECK, APPROVAL}
        return frozenset(EDIT if kind == REVERT else kind for kind in kinds)
