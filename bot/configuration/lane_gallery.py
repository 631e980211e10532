"""The gallery of lanes: the built-in templates and the home's own, for the page that exports and imports them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from bot.configuration.home import Home
from bot.configuration.lane_files import (
    effects_of,
    lane_bytes,
    lane_difference,
    lane_text,
    missing_rule,
    plugin_checks,
    read_lane,
    write_lane,
)
from core.model.errors import ConflictError
from core.model.lane import Lane
from core.model.turn import Actor
from core.services.lane_imports import LaneImports

PASTED = "the text"


@dataclass(frozen=True, slots=True)
class LanePreview:
    """What importing a lane would do: `replaces` is the digest of the file that is there now, empty if none is."""

    lane: Lane
    text: str
    digest: str
    is_signed: bool
    replaces: str
    difference: str

    @property
    def is_same(self) -> bool:
        """Whether the home has exactly this lane."""
        return bool(self.replaces) and not self.difference

    @property
    def effects(self) -> dict[str, list[str]]:
        """What the lane may write, what it runs, and which hosts it may reach."""
        return effects_of(self.lane)


@dataclass(frozen=True, slots=True)
class LaneGallery:
    """The lanes of one home, and the templates of this version; files are read at each use."""

    home: Home
    imports: LaneImports
    _templates: list[Lane] = field(default_factory=list)

    def check(self, actor: Actor) -> None:
        """Raise `RefusedError` unless `actor` may add lanes."""
        self.imports.check(actor)

    def listed(self, word: str = "") -> Sequence[tuple[bool, Lane]]:
        """The templates (True) and the home's lanes (False) that contain `word`; raises `ConfigError`."""
        from lanes.registry import load_lanes
        from lanes.templates import import_lane, list_templates

        if not self._templates:
            self._templates.extend(import_lane(text.encode(), name).lane for name, text in list_templates().items())
        own = load_lanes(self.home.lanes, plugin_checks(self.home)) if self.home.lanes.is_dir() else {}
        found = [*((True, each) for each in self._templates), *((False, each) for _, each in sorted(own.items()))]
        return [(is_template, each) for is_template, each in found if word.casefold() in lane_text(each)]

    def exported(self, name: str, *, only_templates: bool) -> str:
        """A lane of the home, else a template, as one file with its digest; raises `NotFoundError`."""
        from lanes.templates import export_lane, read_template

        if only_templates:
            return export_lane(read_template(name))
        return export_lane(read_lane(self.home, *lane_bytes(self.home, name)).text)

    def previewed(self, text: str) -> LanePreview:
        """What importing this text would do; changes nothing. Raises `ConfigError` or `UsageError`."""
        carried = read_lane(self.home, text.encode(), PASTED)
        difference = lane_difference(self.home, carried.lane.name, carried.text)
        return LanePreview(
            carried.lane, carried.text, carried.digest, carried.signed, self._present(carried.lane.name), difference
        )

    async def add(self, text: str, replaces: str, actor: Actor) -> tuple[str, str | None]:
        """Add the lane, or replace the file whose digest is `replaces`; returns its name and the rule that is missing.

        Raises `RefusedError`, and `ConflictError` if there is another file than the one that was compared.
        """
        self.check(actor)
        carried = read_lane(self.home, text.encode(), PASTED)
        name = carried.lane.name

        def write() -> None:
            present = self._present(name)
            if present not in (replaces, carried.digest):
                raise ConflictError("lane_changed", f"the lane {name} was changed meanwhile", "Compare it again.")
            write_lane(self.home, name, carried.text, PASTED, replace=True)

        await self.imports.add(actor, name, carried.digest, write)
        return name, missing_rule(self.home, name)

    def _present(self, name: str) -> str:
        path = self.home.lanes / f"{name}.yaml"
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
