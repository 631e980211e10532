"""Builds the executors of an installation from its sandboxes, model endpoints and agent programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from core.model.errors import Kind, PermanentError, Problem
from core.model.workflow import WORKFLOW
from core.ports.executor import Executor
from core.ports.leases import ModelLeases
from lanes.agent_clis import NAMES as AGENTS
from lanes.agent_clis import ProgramPlace
from lanes.executors.artifacts import artifact_files
from lanes.executors.checks import CheckedExecutor, CheckRunner
from lanes.executors.names import BUILT_IN, unknown_executor_message
from lanes.models import ChatModel, Endpoint
from lanes.sandbox import Sandbox
from lanes.workflow.cache import StepCache
from lanes.workflow.fill import ReadSentence, no_grammar
from lanes.workflow.reuse import ReusingExecutor

if TYPE_CHECKING:
    from lanes.builtin_agent.executor import Refusals
    from lanes.builtin_agent.withheld_text import HasSecret


@dataclass(frozen=True, slots=True)
class ExecutorResources:
    """What executors need from the installation.

    Attributes:
        scratch: The folder for work folders.
        find_sandbox: Returns the sandbox of a kind.
        model_for: Returns the chat model for a list of names.
        endpoints: The model endpoints by name.
        agent_places: Where agent programs are that are not in the PATH.
        read_sentence: Parses the sentences of a workflow's edit steps.
        leaks: Says whether a text contains a secret, which models must not see; None if that is unknown.
        refusals: Says what the guard would refuse in a lane; None if that is unknown.
        leases: Grants models to agent programs; None if they may be asked at once.
    """

    scratch: Path
    find_sandbox: Callable[[str], Sandbox | Problem]
    model_for: Callable[[Sequence[str]], ChatModel]
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    agent_places: Mapping[str, ProgramPlace] = field(default_factory=dict)
    read_sentence: ReadSentence = no_grammar
    leaks: HasSecret | None = None
    refusals: Refusals | None = None
    leases: ModelLeases | None = None


class LazyExecutors(Mapping[str, Executor]):
    """Executors by name, each imported and created on first use.

    Otherwise a command that edits a file would wait for the import of the agents' HTTP server, and `serve` would keep
    it in memory.
    """

    def __init__(self, factories: Mapping[str, Callable[[], Executor]]) -> None:
        self._factories = factories
        self._created: dict[str, Executor] = {}

    def __getitem__(self, name: str) -> Executor:
        if name not in self._created:
            self._created[name] = self._factories[name]()
        return self._created[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._factories)

    def __len__(self) -> int:
        return len(self._factories)


def build_executors(resources: ExecutorResources, plugins: Mapping[str, Executor] | None = None) -> LazyExecutors:
    """All executors, plugins included, each with its lane's checks.

    Raises:
        PermanentError: A plugin has the name of a built-in executor.
    """
    checks = CheckRunner(resources.scratch, resources.find_sandbox)
    built_in = _built_in_factories(resources, checks)
    from_plugins = {name: partial(_identity, executor) for name, executor in (plugins or {}).items()}
    factories = {
        name: partial(_create_checked, create, checks) for name, create in _add_plugins(built_in, from_plugins).items()
    }

    steps = StepCache(resources.scratch.with_name("steps"))

    def workflow() -> Executor:
        from lanes.workflow.run import WorkflowExecutor  # noqa: PLC0415 - see `LazyExecutors`

        return WorkflowExecutor(LazyExecutors(factories), checks, resources.read_sentence, steps)

    whole = {**factories, WORKFLOW: partial(_create_checked, workflow, checks)}
    return LazyExecutors({name: partial(_create_reusing, create, resources, steps) for name, create in whole.items()})


def _built_in_factories(resources: ExecutorResources, checks: CheckRunner) -> dict[str, Callable[[], Executor]]:
    def edit() -> Executor:
        from lanes.executors.edit import EditExecutor  # noqa: PLC0415 - see `LazyExecutors`

        return EditExecutor()

    def command() -> Executor:
        from lanes.executors.command import CommandExecutor  # noqa: PLC0415 - see `LazyExecutors`

        return CommandExecutor(resources.scratch, resources.find_sandbox)

    def builtin_agent() -> Executor:
        from lanes.builtin_agent import BuiltinAgentExecutor  # noqa: PLC0415 - see `LazyExecutors`
        from lanes.builtin_agent.executor import refuses_nothing_in  # noqa: PLC0415 - the same
        from lanes.builtin_agent.withheld_text import finds_no_secret  # noqa: PLC0415 - the same

        has_secret, refusals = resources.leaks or finds_no_secret, resources.refusals or refuses_nothing_in
        return BuiltinAgentExecutor(resources.endpoints, resources.model_for, checks, has_secret, refusals)

    def agent(name: str) -> Executor:
        from lanes.agent_clis.executor import create_agent_executor  # noqa: PLC0415 - see `LazyExecutors`

        return create_agent_executor(
            name,
            resources.scratch,
            resources.endpoints,
            resources.find_sandbox,
            resources.agent_places,
            resources.leases,
        )

    factories = {"edit": edit, "command": command, "ollama": builtin_agent}
    return {**factories, **{name: partial(agent, name) for name in AGENTS}}


def _identity(executor: Executor) -> Executor:
    return executor


def _create_checked(create: Callable[[], Executor], checks: CheckRunner) -> Executor:
    return CheckedExecutor(create(), checks)


def _create_reusing(create: Callable[[], Executor], resources: ExecutorResources, cache: StepCache) -> Executor:
    return ReusingExecutor(create(), cache, artifact_files(resources.scratch), resources.endpoints)


def _add_plugins(
    built_in: Mapping[str, Callable[[], Executor]], plugins: Mapping[str, Callable[[], Executor]]
) -> dict[str, Callable[[], Executor]]:
    for name in sorted(plugins):
        if name in built_in or name == WORKFLOW:
            mend = f"Delete {name} from `plugins.executors` in countersign.yaml: it cannot replace a built-in executor."
            raise PermanentError("plugin_shadows", f"The plugin executor {name!r} has the name of a built-in one", mend)
    return {**built_in, **plugins}


def missing_executor_problem(name: str) -> Problem:
    """The problem of a lane whose executor is missing."""
    mend = "Name one of these in the lane's file, or enable its plugin: docs/lanes.md."
    return Problem(Kind.UNAVAILABLE, "no_executor", unknown_executor_message(name, BUILT_IN), mend)
