"""Reads objectives.yaml of a home strictly: objectives, and when operators are alerted."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from core.model.errors import NotFoundError
from core.model.objective import Objective, Subject
from core.model.place import Place
from core.strict_yaml import StrictModel, YamlDocument, load, validate
from core.strict_yaml.model import WordList

FILE: Final = "objectives.yaml"
MAX_WINDOW_S: Final = 90 * 24 * 3600
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_SPAN: Final = re.compile(r"(\d{1,6})(s|m|h|d)")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}
_TIMED: Final = frozenset({Subject.WAIT, Subject.RUN, Subject.DECISION})

Share = Annotated[float, Field(gt=0, lt=1)]


class _Objective(StrictModel):
    subject: Literal["wait", "run", "decision", "success", "endpoint"]
    share: Share
    window: str = "7d"
    within: str | None = None
    lanes: WordList = ()
    surfaces: WordList = ()
    endpoint: str | None = None


class _Place(StrictModel):
    surface: str = Field(min_length=1)
    channel: str = Field(min_length=1)


class _Alerts(StrictModel):
    to: tuple[_Place, ...] = ()
    queue_stalled: str = "10m"
    endpoint_lost: str = "2m"
    expiry: str = "14d"
    certificates: tuple[str, ...] = ()


class _File(StrictModel):
    version: Literal[1]
    objectives: dict[str, _Objective] = Field(default_factory=dict)
    alerts: _Alerts = _Alerts()


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """When operators are alerted, in seconds, and where; without `to` where outages of surfaces are announced.

    `certificates` are files with certificates whose end is watched.
    """

    to: tuple[Place, ...] = ()
    queue_stalled_s: int = 600
    endpoint_lost_s: int = 120
    expiry_s: int = 14 * 24 * 3600
    certificates: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class ObjectivesFile:
    """objectives.yaml after validation."""

    objectives: tuple[Objective, ...] = ()
    alerts: AlertSettings = AlertSettings()


def load_objectives(path: Path) -> ObjectivesFile:
    """Read a file of objectives; raises `NotFoundError`, or `ConfigError` with file, line and key."""
    if not path.exists():
        raise NotFoundError("no_objectives", f"the file {path} does not exist", "Check its path.")
    document = load(path)
    raw = validate(document, _File)
    return ObjectivesFile(
        tuple(_objective(document, name, each) for name, each in raw.objectives.items()),
        _alerts(document, raw.alerts, path.parent),
    )


def objectives_of(home: Path) -> Callable[[], ObjectivesFile]:
    """Reads the objectives of a home again each time; without a file there are none, and alerts are the usual ones."""

    def read() -> ObjectivesFile:
        path = home / FILE
        return load_objectives(path) if path.exists() else ObjectivesFile()

    return read


def _objective(document: YamlDocument, name: str, raw: _Objective) -> Objective:
    at, subject = ("objectives", name), Subject(raw.subject)
    if not _NAME.fullmatch(name):
        raise document.error(at, "is not a name", "Use small letters, digits and '-', at most 64.")
    if (raw.within is not None) is not (subject in _TIMED):
        mend = "Add `within`, such as 60s." if subject in _TIMED else "Remove it: this subject has no time."
        raise document.error((*at, "within") if raw.within else at, "does not fit its subject", mend)
    if raw.lanes and subject not in (Subject.WAIT, Subject.RUN):
        raise document.error((*at, "lanes"), "does not fit its subject", "Only wait and run are counted by lane.")
    if raw.surfaces and (subject is not Subject.WAIT or raw.lanes):
        mend = "Only wait is counted by surface, and then not by lane."
        raise document.error((*at, "surfaces"), "does not fit its subject", mend)
    if raw.endpoint and subject is not Subject.ENDPOINT:
        raise document.error((*at, "endpoint"), "does not fit its subject", "Write `subject: endpoint`.")
    window_s = _span(document, (*at, "window"), raw.window)
    if not 3600 <= window_s <= MAX_WINDOW_S:
        raise document.error((*at, "window"), "is too short or too long", "Write from 1h to 90d.")
    names = frozenset(raw.lanes or raw.surfaces or ((raw.endpoint,) if raw.endpoint else ()))
    within_s = _span(document, (*at, "within"), raw.within) if raw.within else None
    return Objective(name, subject, raw.share, window_s, within_s, names, bool(raw.surfaces))


def _alerts(document: YamlDocument, raw: _Alerts, folder: Path) -> AlertSettings:
    return AlertSettings(
        tuple(Place(each.surface, each.channel) for each in raw.to),
        _span(document, ("alerts", "queue_stalled"), raw.queue_stalled),
        _span(document, ("alerts", "endpoint_lost"), raw.endpoint_lost),
        _span(document, ("alerts", "expiry"), raw.expiry),
        tuple((folder / Path(each).expanduser()) for each in raw.certificates),
    )


def _span(document: YamlDocument, at: tuple[str | int, ...], text: str) -> int:
    match = _SPAN.fullmatch(text)
    if match is None or not int(match[1]):
        raise document.error(at, f"{text!r} is not a time", "Write a number with s, m, h or d, such as 60s or 7d.")
    return int(match[1]) * _UNITS[match[2]]
