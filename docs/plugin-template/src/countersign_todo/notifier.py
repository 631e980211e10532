"""The notifier `tally`: counts events by kind, in a file of its scratch folder."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bot.plugins import Notifier, PluginContext


class EventCounter:
    """An event may be told twice, after a crash: what must happen once looks at ``event["delivery"]``."""

    def __init__(self, file: Path) -> None:
        self._file = file

    async def notify(self, event: Mapping[str, Any]) -> None:
        """Count it. What is raised here, unless it is a `PermanentError`, brings the event again later."""
        counted = Counter(json.loads(self._file.read_text(encoding="utf-8")) if self._file.exists() else {})
        counted[event["event"]["kind"]] += 1
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(counted), encoding="utf-8")
        new.replace(self._file)


def make(context: PluginContext) -> Notifier:
    """The factory. `context.scratch` is created on first use and never deleted."""
    return EventCounter(context.scratch / "tally.json")
