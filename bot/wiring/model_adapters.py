"""What is built from the `models:`, `interpreter:` and `agents:` sections: executors and the reader of requests."""

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
from core.ports import EndpointAdmission, Executor, InterpretationContext, Interpreter

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
        scratch: Path,
        sandbox: Callable[[str], Sandbox | Problem],
        plugin_executors: Callable[[], Mapping[str, Executor]],
    ) -> None:
        self.models = models
        self._admission = admission
        self._scratch = scratch
        self._sandbox = sandbox
        self._plugin_executors = plugin_executors

    @cached_property
    def registry(self) -> ModelRegistry:
        """The models of the configured endpoints."""
        from lanes.models.registry import ModelRegistry

        return ModelRegistry(self.models.endpoints, self._admission)

    @cached_property
    def interpreter(self) -> Interpreter:
        """Reads requests: the grammar, then the configured models for what the grammar cannot read."""
        from bot.interpret import GrammarInterpreter

        if not self.models.interpreter:
            return GrammarInterpreter()
        from bot.interpret.model_interpreter import ModelInterpreter

        names = [str(name) for name in self.models.interpreter]
        return ModelInterpreter(self.registry.model_for(names), self.models.patience_s)

    @cached_property
    def agents(self) -> dict[str, ProgramPlace]:
        """Where the configuration says that agents' programs are."""
        from lanes.agent_clis import ProgramPlace

        return {name: ProgramPlace(place.program, place.programs) for name, place in self.models.agents.items()}

    @cached_property
    def executors(self) -> Mapping[str, Executor]:
        """Every executor of this installation by name, those of plugins too."""
        from bot.interpret.grammar import read_sentence
        from lanes.assembly import Means, executors
        from policies.guard import TreeGuard

        guard = TreeGuard()
        means = Means(
            self._scratch,
            self._sandbox,
            self.registry.model_for,
            self.models.endpoints,
            self.agents,
            read_sentence,
            guard.leaks,
            guard.refusal_in,
        )
        return executors(means, self._plugin_executors())


@dataclass(frozen=True, slots=True)
class LiveInterpreter:
    """`core.ports.Interpreter`: whatever `current` gives when a request is read."""

    current: Callable[[], Interpreter]

    async def interpret(self, turns: Sequence[Turn], scene: InterpretationContext) -> Intent | Unclear:
        """The current interpreter's answer."""
        return await self.current().interpret(turns, scene)


@dataclass(frozen=True, slots=True, eq=False)
class LiveMapping(Mapping[str, T]):
    """A mapping that is whatever `current` gives at each look."""

    current: Callable[[], Mapping[str, T]]

    def __getitem__(self, name: str) -> T:
        return self.current()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.current())

    def __len__(self) -> int:
        return len(self.current())
