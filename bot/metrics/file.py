"""Writes state/metrics.json again and again, for monitors that read files."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bot.metrics.catalogue import CATALOGUE
from bot.metrics.route import ReadSamples
from bot.metrics.settings import MetricsSettings
from core.log import log
from core.model.errors import CountersignError
from core.model.metric import MetricSample

NAME: Final = "metrics.json"
_LOOK_EVERY_S: Final = 30.0
"""How often the configuration is looked at while no file is wanted."""


@dataclass(frozen=True, slots=True)
class MetricsFile:
    """Writes the file while the settings want it; a reader sees the whole old file or the whole new one."""

    path: Path
    settings: Callable[[], MetricsSettings | None]
    read: ReadSamples

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            settings = self.settings()
            if settings is not None and settings.writes_file:
                await self.write()
            await asyncio.sleep(settings.every_s if settings is not None else _LOOK_EVERY_S)

    async def write(self) -> None:
        """Write the file once; what prevents that is logged."""
        try:
            document = metrics_document(await self.read(), datetime.now(UTC))
            await asyncio.to_thread(_replace, self.path, json.dumps(document, indent=1))
        except CountersignError as error:
            log.warning("metrics_not_written", problem=error.problem.message)
        except OSError as error:
            log.warning("metrics_not_written", problem=f"{self.path}: {error.strerror}")


def metrics_document(samples: Iterable[MetricSample], at: datetime) -> dict[str, Any]:
    """The document of state/metrics.json: for each metric its samples with their labels."""
    labels = {each.name: each.labels for each in CATALOGUE}
    metrics: dict[str, list[dict[str, Any]]] = {each.full_name: [] for each in CATALOGUE}
    full_names = {each.name: each.full_name for each in CATALOGUE}
    for sample in samples:
        named = dict(zip(labels[sample.metric], sample.labels, strict=True))
        metrics[full_names[sample.metric]].append({"labels": named, "value": sample.value})
    return {"v": 1, "at": at.isoformat(), "metrics": metrics}


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text + "\n", encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
