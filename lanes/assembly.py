"""The executors of an installation, built from what it has: sandboxes, endpoints of models, agents' programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import Kind, PermanentError, Problem
from core.ports import Executor
from core.workflow import WORKFLOW
from lanes.agents import Place, agent_executors
from lanes.checks import CheckRunner, checked
from lanes.coder import CoderExecutor
from lanes.coder.executor import Refusals, refuses_nothing_in
from lanes.coder.withheld import Leaks, leaks_unknown
from lanes.executors.command import CommandExecutor
from lanes.executors.edit_lane import EditExecutor
from lanes.executors.names import BUILT_IN, no_such_executor
from lanes.models import Endpoint, Model
from lanes.sandbox import Sandbox
from lanes.workflow.cache import StepCache
from lanes.workflow.fill import ReadSentence, reads_nothing
from lanes.workflow.run import WorkflowExecutor


@dataclass(frozen=True, slots=True)
class Means:
    """What executors work with: `scratch` for checkouts, a sandbox of each kind, and what the configuration names.

    `agents` says where agents' programs are that are not in the PATH, `read` understands the sentences of a workflow's
    edit steps. `leaks` says whether a text holds a secret, which models are not shown, and `refusals` what the guard
    would refuse in a lane.
    """

    scratch: Path
    sandbox: Callable[[str], Sandbox | Problem]
    shelf: Callable[[Sequence[str]], Model]
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    agents: Mapping[str, Place] = field(default_factory=dict)
    read: ReadSentence = reads_nothing
    leaks: Leaks = leaks_unknown
    refusals: Refusals = refuses_nothing_in


def executors(means: Means, plugins: Mapping[str, Executor] | None = None) -> dict[str, Executor]:
    """Every executor by the name that lane files use, those of `plugins` too, each judged by its lane's checks.

    Raises `PermanentError` for a plugin with the name of one of ours.
    """
    checks = CheckRunner(means.scratch, means.sandbox)
    made: list[Executor] = [
        EditExecutor(),
        CommandExecutor(means.scratch, means.sandbox),
        CoderExecutor(means.endpoints, means.shelf, checks, means.leaks, means.refusals),
        *agent_executors(means.scratch, means.endpoints, means.sandbox, means.agents).values(),
    ]
    found = checked(_beside({executor.name: executor for executor in made}, plugins or {}), checks)
    workflow = WorkflowExecutor(found, checks, means.read, StepCache(means.scratch.with_name("steps")))
    return {**found, **checked({workflow.name: workflow}, checks)}


def _beside(ours: Mapping[str, Executor], plugins: Mapping[str, Executor]) -> dict[str, Executor]:
    for name in sorted(plugins):
        if name in ours or name == WORKFLOW:
            mend = f"Delete {name} from `plugins.executors` in countersign.yaml: a plugin may not stand in for ours."
            raise PermanentError("plugin_shadows", f"The plugin executor {name!r} has the name of a built-in one", mend)
    return {**ours, **plugins}


def missing_executor(name: str) -> Problem:
    """What to tell about a lane whose executor is not here."""
    mend = "Name one of these in the lane's file, or enable its plugin: docs/lanes.md."
    return Problem(Kind.UNAVAILABLE, "no_executor", no_such_executor(name, BUILT_IN), mend)
