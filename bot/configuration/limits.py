"""Reads ``limits:`` of countersign.yaml: what a person, a team, a lane or a repository may have."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from pydantic import Field, PositiveFloat, PositiveInt

from core.model.errors import ConfigError
from core.model.limits import DayUse, Limit, LimitScope
from core.strict_yaml import StrictModel, YamlDocument

Keys = str | tuple[str, ...]
"""The keys of a limit: ``"*"`` for each of them, one name, or several."""


class RawLimit(StrictModel):
    """One entry: exactly one of the four scopes, and at least one amount."""

    person: Keys | None = None
    team: Keys | None = None
    lane: Keys | None = None
    repository: Keys | None = None
    running: PositiveInt | None = None
    requests_per_hour: PositiveInt | None = Field(default=None, le=100_000)
    queued: PositiveInt | None = Field(default=None, le=100_000)
    tokens_per_day: PositiveInt | None = None
    usd_per_day: PositiveFloat | None = None
    gpu_s_per_day: PositiveFloat | None = None


def limits_of(
    document: YamlDocument, raw: Mapping[str, RawLimit], known: Mapping[LimitScope, Collection[str]]
) -> tuple[Limit, ...]:
    """The limits by name; raises `ConfigError` for a name, scope, key or amount that is wrong.

    `known` are the names that each scope has; lanes are checked by `check_lanes`, because they are in other files.
    """
    limits = []
    for name, entry in raw.items():
        if not name or "/" in name or len(name) > 64:
            mend = "Give it a name without slashes of at most 64 characters."
            raise document.error(("limits", name), "is not a name", mend)
        given = {scope: keys for scope in LimitScope if (keys := getattr(entry, scope.value)) is not None}
        if len(given) != 1:
            mend = "Name exactly one of person, team, lane and repository."
            raise document.error(("limits", name), "has not one scope", mend)
        ((scope, keys),) = given.items()
        limits.append(_limit(document, name, entry, scope, keys, known))
    return tuple(limits)


def check_lanes(path: Path, limits: Collection[Limit], lanes: Collection[str]) -> None:
    """Raise `ConfigError` for a limit that names a lane which is not there."""
    for limit in limits:
        unknown = sorted(set(limit.keys or ()) - set(lanes)) if limit.scope is LimitScope.LANE else []
        if unknown:
            mend = f"Known: {', '.join(sorted(lanes)) or 'none'}."
            raise ConfigError(path, None, f"limits.{limit.name}.lane", f"{unknown[0]!r} is not a lane", mend)


def _limit(
    document: YamlDocument,
    name: str,
    raw: RawLimit,
    scope: LimitScope,
    keys: Keys,
    known: Mapping[LimitScope, Collection[str]],
) -> Limit:
    chosen = None if keys == "*" else frozenset([keys] if isinstance(keys, str) else keys)
    at = ("limits", name, scope.value)
    unknown = sorted((chosen or frozenset()) - set(known[scope])) if scope in known else []
    if chosen is not None and not chosen:
        raise document.error(at, "names nothing", 'Write "*" for each of them.')
    if unknown:
        mend = f"Known: {', '.join(sorted(known[scope])) or 'none'}."
        raise document.error(at, f"there is no {scope.value} called {unknown[0]!r}", mend)
    day = {DayUse.TOKENS: raw.tokens_per_day, DayUse.USD: raw.usd_per_day, DayUse.GPU_S: raw.gpu_s_per_day}
    per_day = tuple((use, float(most)) for use, most in day.items() if most is not None)
    if not per_day and (raw.running, raw.requests_per_hour, raw.queued) == (None, None, None):
        mend = "Add running, requests_per_hour, queued, tokens_per_day, usd_per_day or gpu_s_per_day."
        raise document.error(("limits", name), "limits nothing", mend)
    return Limit(name, scope, chosen, raw.running, raw.requests_per_hour, raw.queued, per_day)
