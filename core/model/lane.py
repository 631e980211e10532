"""A lane: a named write capability and the limits of what it may change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.model.budget import Budget
from core.model.workflow import APPROVAL, CHECK, EDIT, REVERT, Parameter, WorkflowStep

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds of one change and of the work that makes it.

    `files`, `bytes` and `file_bytes` bound the change (sums over new blobs); `wall_s`, `memory_mib`, `processes` and
    `log_bytes` bound the executor.
    """

    files: int = 50
    bytes: int = MIB
    file_bytes: int = MIB
    wall_s: int = 300
    memory_mib: int = 2048
    processes: int = 256
    log_bytes: int = MIB

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Limits:
        """The limits that were stored with approval requirements; a missing bound has its default."""
        bound = cls()
        return cls(
            files=value.get("files", bound.files),
            bytes=value.get("bytes", bound.bytes),
            file_bytes=value.get("file_bytes", bound.file_bytes),
            wall_s=value.get("wall_s", bound.wall_s),
            memory_mib=value.get("memory_mib", bound.memory_mib),
            processes=value.get("processes", bound.processes),
            log_bytes=value.get("log_bytes", bound.log_bytes),
        )

    def tightened(self, other: Limits) -> Limits:
        """The stricter of both, bound by bound."""
        return Limits(*(min(getattr(self, name), getattr(other, name)) for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class LaneCheck:
    """A command that judges the result: exit status 0 passes. A `required` check that fails blocks the change.

    `wall_s` 0 means the lane's limit.
    """

    name: str
    command: tuple[str, ...]
    wall_s: int = 0
    required: bool = False


@dataclass(frozen=True, slots=True)
class Isolation:
    """The isolation of a lane's programs: `kind` is bwrap, podman, docker or landlock.

    `image` is the container image of podman and docker. `hosts` may be reached over https through a logging proxy;
    without any, only the lane's model can be reached.
    """

    kind: str = "bwrap"
    image: str = ""
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AgentCli:
    """An agent program that a lane file describes: how it is run, what it needs, how its output is read.

    `argv` may contain ``{task}`` and ``{model}``; `speaks` is the protocol of its model (anthropic, openai, gemini),
    `events` its output format (jsonl or text), `success` the value that its last event must have (``key=value``).
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

    `write` and `protect` are anchored globs in gitignore style, matched from the repository's root; `protect` adds to
    what every lane protects, and `everywhere` are those in it that a policy file protects in every lane. `models` are
    ``endpoint/name``; the first that answers is used. `checks` judge the result; a failing one goes back to the
    executor at most `retries` times. With the executor `workflow` the lane works in `steps` according to the request's
    `parameters`; `version` is that of its file. If this lane is one step of another, `whole` is what that one may
    write, which the step may not exceed. `work_class` is the class of its changes for models, chat or bulk; empty:
    what the surface or the kind of job says. With `reuse`, a request whose inputs equal those of an earlier run adopts
    its result.
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
    everywhere: tuple[str, ...] = ()
    work_class: str = ""
    reuse: bool = False

    @property
    def executors(self) -> frozenset[str]:
        """The names of the executors that change files in it: its own, or those of its steps.

        Checks and approvals change nothing; a revert is deterministic like an edit.
        """
        if not self.steps:
            return frozenset({self.executor})
        kinds = {step.run for step in self.steps} - {CHECK, APPROVAL}
        return frozenset(EDIT if kind == REVERT else kind for kind in kinds)
