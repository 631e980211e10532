"""Makes the plugins that are enabled: imports each, calls its factory once, and checks what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bot.plugins.context import PluginContext
from bot.plugins.find import OfferedPlugin
from bot.plugins.settings import EnabledPlugin, names_of
from core.log import log
from core.model.errors import CountersignError, Kind, PermanentError, Problem, UsageError
from core.model.place import Place

if TYPE_CHECKING:
    from bot.integrations.webhooks.run import WebhookReceivers
    from bot.surfaces.port import Surface
    from core.model.lane import LaneCheck
    from core.ports import Executor, Followed, Forge, Guard
    from lanes.sandbox import Sandbox

FOLDER = "plugins"
ScopeOfPlace = Callable[[Place], tuple[str, ...] | None]


def _any_sandbox(kind: str) -> Sandbox | Problem:
    from lanes.sandbox import Sandboxes

    return Sandboxes().get(kind)


@dataclass(slots=True)
class Plugins:
    """The enabled plugins of one process. `state` is the home's; `sandbox` finds the sandbox of a kind.

    Each is made when it is first needed, once. One that cannot be made raises `PermanentError`: Countersign does not go
    on without what its operator enabled. Only while `lenient` is the rest had without it: for the doctor, who looks at
    everything.
    """

    enabled: tuple[EnabledPlugin, ...]
    state: Path
    sandbox: Callable[[str], Sandbox | Problem] = _any_sandbox
    lenient: bool = False
    _made: dict[tuple[str, str], Any] = field(default_factory=dict)

    def executors(self) -> dict[str, Executor]:
        """The executors by name."""
        return self._all("executors")

    def surfaces(self) -> dict[str, Surface]:
        """The surfaces by name."""
        return self._all("surfaces")

    def forges(self) -> dict[str, Forge]:
        """The forges by name."""
        return self._all("forges")

    def followed(self) -> dict[str, Followed]:
        """Those of the forges where others act too."""
        from bot.plugins.shape import is_followed

        return {name: cast("Followed", forge) for name, forge in self.forges().items() if is_followed(forge)}

    def credentials(self, forge: str) -> Any:
        """How git is let in to the remotes of a plugin's forge: its ``credentials``, if it has any.

        Raises `PermanentError` for a forge that was enabled after this process began.
        """
        if forge not in names_of(self.enabled, "forges"):
            message = f"The forge {forge!r} was enabled after this process began"
            raise PermanentError("restart_needed", message, "Restart Countersign.", kind=Kind.UNAVAILABLE)
        return getattr(self._named("forges", forge), "credentials", None)

    def guard(self, ours: Guard) -> Guard:
        """Our guard, with what the guards of plugins add."""
        from bot.plugins.guard import PluginGuards

        more = self._all("guards")
        return PluginGuards(ours, more) if more else ours

    def receivers(self, ours: WebhookReceivers) -> WebhookReceivers:
        """Our receivers of events, and the notifiers of plugins."""
        from bot.plugins.notify import PluginNotifiers

        more = self._all("notifiers")
        return PluginNotifiers(ours, more) if more else ours

    def rooms(self, ours: ScopeOfPlace, surfaces: Mapping[str, object]) -> ScopeOfPlace:
        """Which repositories a place is for: a plugin's surface says it with ``repositories(place)``, if at all."""
        theirs = names_of(self.enabled, "surfaces")

        def of(place: Place) -> tuple[str, ...] | None:
            ask = getattr(surfaces.get(place.surface), "repositories", None) if place.surface in theirs else None
            answer: tuple[str, ...] | None = ask(place) if ask is not None else ours(place)
            return answer

        return of

    def check(self, name: str) -> LaneCheck:
        """The check that lane files call ``use: NAME``; raises `UsageError` for one that is not enabled."""
        known = names_of(self.enabled, "checks")
        if name not in known:
            mend = (
                f"Enable it below `plugins.checks` in countersign.yaml; enabled: {', '.join(sorted(known)) or 'none'}."
            )
            raise UsageError("no_check", f"no enabled plugin offers the check {name!r}", mend)
        found: LaneCheck = self._named("checks", name)
        return found

    def rows(self) -> list[dict[str, Any]]:
        """The doctor's row for each enabled plugin."""
        rows = []
        for one in self.enabled:
            row = {"name": f"plugin {one.offered.kind}/{one.offered.name}", "verdict": "ok", "mend": ""}
            try:
                self._one(one)
            except CountersignError as error:
                rows.append(
                    {**row, "verdict": "fail", "detail": error.problem.message, "mend": str(error.problem.mend)}
                )
            else:
                rows.append({**row, "detail": f"{one.offered.source}, runs with Countersign's own rights"})
        return rows

    def _all(self, kind: str) -> dict[str, Any]:
        found = {}
        for one in self.enabled:
            if one.offered.kind == kind:
                try:
                    found[one.offered.name] = self._one(one)
                except CountersignError:
                    if not self.lenient:
                        raise
        return found

    def _named(self, kind: str, name: str) -> Any:
        return self._one(next(one for one in self.enabled if (one.offered.kind, one.offered.name) == (kind, name)))

    def _one(self, enabled: EnabledPlugin) -> Any:
        key = enabled.offered.kind, enabled.offered.name
        if key not in self._made:
            self._made[key] = self._make(enabled)
        return self._made[key]

    def _make(self, enabled: EnabledPlugin) -> Any:
        from bot.plugins.shape import lacks

        offered = enabled.offered
        context = PluginContext(
            name=offered.name,
            settings=enabled.settings,
            folder=self.state / FOLDER / f"{offered.kind}-{offered.name}",
            sandbox=self.sandbox,
            log=log.bind(plugin=f"{offered.kind}/{offered.name}"),
        )
        try:
            made = offered.entry.load()(context)
        except CountersignError as error:
            raise _broken(offered, error.problem.message, str(error.problem.mend)) from error
        except (Exception, SystemExit) as error:
            raise _broken(offered, f"{type(error).__name__}: {error}"[:300]) from error
        if missing := lacks(offered.kind, offered.name, made):
            raise _broken(offered, f"its factory returned {type(made).__name__}, which lacks {', '.join(missing)}")
        return made


def _broken(offered: OfferedPlugin, why: str, mend: str = "") -> PermanentError:
    line = f"`{offered.name}` below `plugins.{offered.kind}` in countersign.yaml"
    said = mend or f"Mend or upgrade {offered.distribution}, or look at its settings."
    message = f"The plugin {offered.label} of {offered.source} cannot be used: {why}"
    return PermanentError("plugin_broken", message, f"{said} To go on without it, delete {line}.")
