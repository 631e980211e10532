"""The notifier `diary`: one line of JSON for each event, in a file of the plugin's own scratch folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bot.plugins import Notifier, PluginContext


class Diary:
    """Writes each delivery once: the same one may come again, after a crash."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._written: set[str] = set()

    async def notify(self, event: Mapping[str, Any]) -> None:
        if event["delivery"] in self._written:
            return
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")
        self._written.add(event["delivery"])


def make(context: PluginContext) -> Notifier:
    """The factory."""
    return Diary(context.scratch / "diary.jsonl")
