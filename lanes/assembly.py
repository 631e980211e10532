"""The executors of an installation, built from what it has: sandboxes, endpoints of models, agents' programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from core.model.errors import Kind, PermanentError, Problem
from core.model.workflow import WORKFLOW
from core.ports import Executor
from lanes.agent_clis import NAMES as AGENTS
from lanes.agent_clis import ProgramPlace
from lanes.executors.checks import Checked, CheckRunner
from lanes.executors.names import BUILT_IN, unknown_executor_message
from lanes.models import ChatModel, Endpoint
from lanes.sandbox import Sandbox
from lanes.workflow.cache import StepCache
from lanes.workflow.fill import ReadSentence, reads_nothing

if TYPE_CHECKING:
    from lanes.builtin_agent.executor import Refusals
    from lanes.builtin_agent.withheld_text import Leaks


@dataclass(frozen=True, slots=True)
class Means:
    """What executors work with: `scratch` for checkouts, a sandbox of each kind, and what the configuration names.

    `agents` says where agents' programs are that are not in the PATH, `read` understands the sentences of a workflow's
    edit steps. `leaks` says whether a text holds a secret, which models are not shown, and `refusals` what the guard
    would refuse in a lane; without them nobody can tell.
    """

    scratch: Path
    sandbox: Callable[[str], Sandbox | Problem]
    shelf: Callable[[Sequence[str]], ChatModel]
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    agents: Mapping[str, ProgramPlace] = field(default_factory=dict)
    read: ReadSentence = reads_nothing
    leaks: Leaks | None = None
    refusals: Refusals | None = None


class Executors(Mapping[str, Executor]):
    """Executors by the names that lane files use, each made and imported when it is first asked for.

    A command that edits a file would else wait for the agents' HTTP server, and `serve` keep it in memory.
    """

    def __init__(self, makers: Mapping[str, Callable[[], Executor]]) -> None:
        self._makers = makers
        self._made: dict[str, Executor] = {}

    def __getitem__(self, name: str) -> Executor:
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


def executors(means: Means, plugins: Mapping[str, Executor] | None = None) -> Executors:
    """Every executor, those of `plugins` too, each judged by its lane's checks.

    Raises `PermanentError` for a plugin with the name of one of ours.
    """
    checks = CheckRunner(means.scratch, means.sandbox)
    ours = _ours(means, checks)
    theirs = {name: partial(_as_it_is, executor) for name, executor in (plugins or {}).items()}
    makers = {name: partial(_checked, make, checks) for name, make in _beside(ours, theirs).items()}

    def workflow() -> Executor:
        from lanes.workflow.run import WorkflowExecutor  # noqa: PLC0415 - see `Executors`

        steps = StepCache(means.scratch.with_name("steps"))
        return WorkflowExecutor(Executors(makers), checks, means.read, steps)

    return Executors({**makers, WORKFLOW: partial(_checked, workflow, checks)})


def _ours(means: Means, checks: CheckRunner) -> dict[str, Callable[[], Executor]]:
    def edit() -> Executor:
        from lanes.executors.edit import EditExecutor  # noqa: PLC0415 - see `Executors`

        return EditExecutor()

    def command() -> Executor:
        from lanes.executors.command import CommandExecutor  # noqa: PLC0415 - see `Executors`

        return CommandExecutor(means.scratch, means.sandbox)

    def builtin_agent() -> Executor:
        from lanes.builtin_agent import BuiltinAgentExecutor  # noqa: PLC0415 - see `Executors`
        from lanes.builtin_agent.executor import refuses_nothing_in  # noqa: PLC0415 - the same
        from lanes.builtin_agent.withheld_text import leaks_unknown  # noqa: PLC0415 - the same

        leaks, refusals = means.leaks or leaks_unknown, means.refusals or refuses_nothing_in
        return BuiltinAgentExecutor(means.endpoints, means.shelf, checks, leaks, refusals)

    def agent(name: str) -> Executor:
        from lanes.agent_clis.executor import create_agent_executor  # noqa: PLC0415 - see `Executors`

        return create_agent_executor(name, means.scratch, means.endpoints, means.sandbox, means.agents)

    ours = {"edit": edit, "command": command, "ollama": builtin_agent}
    return {**ours, **{name: partial(agent, name) for name in AGENTS}}


def _as_it_is(executor: Executor) -> Executor:
    return executor


def _checked(make: Callable[[], Executor], checks: CheckRunner) -> Executor:
    return Checked(make(), checks)


def _beside(
    ours: Mapping[str, Callable[[], Executor]], plugins: Mapping[str, Callable[[], Executor]]
) -> dict[str, Callable[[], Executor]]:
    for name in sorted(plugins):
        if name in ours or name == WORKFLOW:
            mend = f"Delete {name} from `plugins.executors` in countersign.yaml: a plugin may not stand in for ours."
            raise PermanentError("plugin_shadows", f"The plugin executor {name!r} has the name of a built-in one", mend)
    return {**ours, **plugins}


def missing_executor(name: str) -> Problem:
    """What to tell about a lane whose executor is not here."""
    mend = "Name one of these in the lane's file, or enable its plugin: docs/lanes.md."
    return Problem(Kind.UNAVAILABLE, "no_executor", unknown_executor_message(name, BUILT_IN), mend)
