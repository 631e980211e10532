"""The section ``metrics:`` of countersign.yaml; without it nothing is measured for others."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import Field

from bot.secret import secret
from core.model.errors import UsageError
from core.strict_yaml import StrictModel, YamlDocument

LEAST_TOKEN: Final = 16


class RawMetrics(StrictModel):
    """The section ``metrics:``."""

    token_file: str | None = None
    file: bool = False
    every_s: float = Field(default=30.0, ge=1, le=3600)


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Who may read /metrics: those who have `token`, or without one programs on this host.

    With `writes_file` state/metrics.json is written every `every_s` seconds.
    """

    token: str | None = field(default=None, repr=False)
    writes_file: bool = False
    every_s: float = 30.0


def metrics_settings(document: YamlDocument, raw: RawMetrics | None, root: Path) -> MetricsSettings | None:
    """The settings, or None without the section; raises `ConfigError`."""
    if raw is None:
        return None
    try:
        token = secret("COUNTERSIGN_METRICS_TOKEN", raw.token_file, root)
    except UsageError as error:
        raise document.error(("metrics", "token_file"), error.problem.message, str(error.problem.mend)) from error
    if token is not None and len(token) < LEAST_TOKEN:
        mend = f"Use at least {LEAST_TOKEN} random characters."
        raise document.error(("metrics",), "has a token that can be guessed", mend)
    return MetricsSettings(token, raw.file, raw.every_s)
