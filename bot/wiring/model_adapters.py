"""Builds executors and the interpreter from the `models:`, `interpreter:` and `agents:` sections."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bot.configuration.models import Models
from core.model.errors import Problem
from core.model.intent import Intent, Unclear
from core.model.turn import Turn
from core.ports.executor import Executor
from core.ports.interpretation import InterpretationContext, Interpreter
from core.ports.inventory import EndpointAdmission
from core.ports.leases import ModelLeases

if TYPE_CHECKING:
    from lanes.agent_clis import ProgramPlace
    from lanes.models.registry import ModelRegistry
    from lanes.sandbox import Sandbox

T = TypeVar("T")


class ModelAdapters:
    """The adapters of one version of these sections; a changed section gets new ones, with the same admission."""

    def __init__(
        self,
        models: Models,
        admission: EndpointAdmission,
        leases: ModelLeases,
        scratch: Path,
        sandbox: Callable[[str], Sandbox | Problem],
        plugin_executors: Callable[[], Mapping[str, Executor]],
    ) -> None:
        self.models = models
        self._admission = admission
        self._leases = leases
        self._scratch = scratch
        self._sandbox = sandbox
        self._plugin_executors = plugin_executors

    @cached_property
    def registry(self) -> ModelRegistry:
        """The models of the configured endpoints."""
        from lanes.models.registry import ModelRegistry

        return ModelRegistry(self.models.endpoints, self._admission, self._leases)

    @cached_property
    def interpreter(self) -> Interpreter:
        """Interprets requests: the grammar, then the configured models for what the grammar cannot."""
        from bot.interpret import GrammarInterpreter

        if not self.models.interpreter:
            return GrammarInterpreter()
        from bot.interpret.model_interpreter import ModelInterpreter

        names = [str(name) for name in self.models.interpreter]
        return ModelInterpreter(self.registry.model_for(names), self.models.patience_s)

    @cached_property
    def agents(self) -> dict[str, ProgramPlace]:
        """The configured places of agents' programs."""
        from lanes.agent_clis import ProgramPlace

        return {name: ProgramPlace(place.program, place.programs) for name, place in self.models.agents.items()}

    @cached_property
    def executors(self) -> Mapping[str, Executor]:
        """Every executor by name, including those of plugins."""
        from bot.interpret.grammar import read_sentence
        from lanes.wiring import ExecutorResources, build_executors
        from policies.guard import TreeGuard

        guard = TreeGuard()
        resources = ExecutorResources(
            self._scratch,
            self._sandbox,
            self.registry.model_for,
            self.models.endpoints,
            self.agents,
            read_sentence,
            guard.leaks,
            guard.refusal_in,
            self._leases,
        )
        return build_executors(resources, self._plugin_executors())


@dataclass(frozen=True, slots=True)
class LiveInterpreter:
    """`core.ports.interpretation.Interpreter` that delegates to the interpreter that `current` returns at each call."""

    current: Callable[[], Interpreter]

    async def interpret(self, turns: Sequence[Turn], context: InterpretationContext) -> Intent | Unclear:
        """Interpret with the current interpreter."""
        return await self.current().interpret(turns, context)


@dataclass(frozen=True, slots=True, eq=False)
class LiveMapping(Mapping[str, T]):
    """A mapping that delegates to the mapping that `current` returns at each access."""

    current: Callable[[], Mapping[str, T]]

    def __getitem__(self, name: str) -> T:
        return self.current()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.current())

    def __len__(self) -> int:
        return len(self.current())
