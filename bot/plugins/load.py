"""Creates the enabled plugins: imports each, calls its factory once and checks the object that it returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bot.plugins.find import OfferedPlugin
from bot.plugins.ports import PluginContext
from bot.plugins.settings import EnabledPlugin, names_of
from core.log import log
from core.model.errors import CountersignError, Kind, PermanentError, Problem, UsageError
from core.model.place import Place, ScopeOfPlace

if TYPE_CHECKING:
    from bot.integrations.webhooks.sender import WebhookReceivers
    from bot.surfaces.port import Surface
    from core.model.lane import LaneCheck
    from core.model.masking import Mask
    from core.ports.executor import Executor
    from core.ports.forge import FollowedForge, Forge
    from core.ports.policy import Guard
    from lanes.sandbox import Sandbox

FOLDER = "plugins"


def _any_sandbox(kind: str) -> Sandbox | Problem:
    from lanes.sandbox import Sandboxes

    return Sandboxes().get(kind)


@dataclass(slots=True)
class Plugins:
    """The enabled plugins of one process; `state` is the home's state folder.

    Each plugin is created once, when it is first needed. A plugin that cannot be created raises `PermanentError`,
    because Countersign does not run without what its operator enabled. With `lenient`, which the doctor uses, such
    plugins are skipped.
    """

    enabled: tuple[EnabledPlugin, ...]
    state: Path
    sandbox: Callable[[str], Sandbox | Problem] = _any_sandbox
    lenient: bool = False
    _instances: dict[tuple[str, str], Any] = field(default_factory=dict)

    def executors(self) -> dict[str, Executor]:
        """The executors by name."""
        return self._all("executors")

    def surfaces(self) -> dict[str, Surface]:
        """The surfaces by name."""
        return self._all("surfaces")

    def forges(self) -> dict[str, Forge]:
        """The forges by name."""
        return self._all("forges")

    def followed(self) -> dict[str, FollowedForge]:
        """The forges whose pull requests are followed, because people also act there directly."""
        from bot.plugins.shape import is_followed

        return {name: cast("FollowedForge", forge) for name, forge in self.forges().items() if is_followed(forge)}

    def credentials(self, forge: str) -> Any:
        """The plugin forge's ``credentials``, which let git access its remotes, or None.

        Raises `PermanentError` for a forge that was enabled after this process started.
        """
        if forge not in names_of(self.enabled, "forges"):
            message = f"The forge {forge!r} was enabled after this process started"
            raise PermanentError("restart_needed", message, "Restart Countersign.", kind=Kind.UNAVAILABLE)
        return getattr(self._named("forges", forge), "credentials", None)

    def guard(self, builtin: Guard) -> Guard:
        """Our guard combined with the guards of plugins."""
        from bot.plugins.guard import PluginGuards

        extra = self._all("guards")
        return PluginGuards(builtin, extra) if extra else builtin

    def receivers(self, builtin: WebhookReceivers, mask: Mask) -> WebhookReceivers:
        """Our webhook receivers and the notifiers of plugins; `mask` removes secrets from what those receive."""
        from bot.plugins.notify import PluginNotifiers

        notifiers = self._all("notifiers")
        return PluginNotifiers(builtin, notifiers, mask) if notifiers else builtin

    def channel_scopes(self, builtin: ScopeOfPlace, surfaces: Mapping[str, object]) -> ScopeOfPlace:
        """Which repositories a place is for; a plugin's surface may answer with ``repositories(place)``."""
        plugin_surfaces = names_of(self.enabled, "surfaces")

        def scope_of(place: Place) -> tuple[str, ...] | None:
            surface = surfaces.get(place.surface) if place.surface in plugin_surfaces else None
            repositories = getattr(surface, "repositories", None)
            scope: tuple[str, ...] | None = repositories(place) if repositories is not None else builtin(place)
            return scope

        return scope_of

    def check(self, name: str) -> LaneCheck:
        """The check that lane files call ``use: NAME``; raises `UsageError` if no enabled plugin offers it."""
        enabled = names_of(self.enabled, "checks")
        if name not in enabled:
            names = ", ".join(sorted(enabled)) or "none"
            mend = f"Enable it below `plugins.checks` in countersign.yaml; enabled: {names}."
            raise UsageError("no_check", f"no enabled plugin offers the check {name!r}", mend)
        lane_check: LaneCheck = self._named("checks", name)
        return lane_check

    def doctor_rows(self) -> list[dict[str, Any]]:
        """The doctor's row for each enabled plugin."""
        rows = []
        for plugin in self.enabled:
            row = {"name": f"plugin {plugin.offered.kind}/{plugin.offered.name}", "verdict": "ok", "mend": ""}
            try:
                self._instance(plugin)
            except CountersignError as error:
                rows.append(
                    {**row, "verdict": "fail", "detail": error.problem.message, "mend": str(error.problem.mend)}
                )
            else:
                rows.append({**row, "detail": f"{plugin.offered.source}, runs with Countersign's own rights"})
        return rows

    def _all(self, kind: str) -> dict[str, Any]:
        instances = {}
        for plugin in self.enabled:
            if plugin.offered.kind == kind:
                try:
                    instances[plugin.offered.name] = self._instance(plugin)
                except CountersignError:
                    if not self.lenient:
                        raise
        return instances

    def _named(self, kind: str, name: str) -> Any:
        return self._instance(
            next(plugin for plugin in self.enabled if (plugin.offered.kind, plugin.offered.name) == (kind, name))
        )

    def _instance(self, enabled: EnabledPlugin) -> Any:
        key = enabled.offered.kind, enabled.offered.name
        if key not in self._instances:
            self._instances[key] = self._create(enabled)
        return self._instances[key]

    def _create(self, enabled: EnabledPlugin) -> Any:
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
            instance = offered.entry.load()(context)
        except CountersignError as error:
            raise _broken(offered, error.problem.message, str(error.problem.mend)) from error
        except (Exception, SystemExit) as error:
            raise _broken(offered, f"{type(error).__name__}: {error}"[:300]) from error
        if missing := lacks(offered.kind, offered.name, instance):
            raise _broken(offered, f"its factory returned {type(instance).__name__}, which lacks {', '.join(missing)}")
        return instance


def _broken(offered: OfferedPlugin, reason: str, mend: str = "") -> PermanentError:
    line = f"`{offered.name}` below `plugins.{offered.kind}` in countersign.yaml"
    fix = mend or f"Fix or upgrade {offered.distribution}, or check its settings."
    message = f"The plugin {offered.label} of {offered.source} cannot be used: {reason}"
    return PermanentError("plugin_broken", message, f"{fix} To continue without it, delete {line}.")
