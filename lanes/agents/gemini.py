"""gemini-cli (npm ``@google/gemini-cli``), with settings of ours; measured with 0.61.0.

With a dead server it asks on and on.
"""

from __future__ import annotations

import json

from lanes.agents.cli import Call, Cli, Errand, Heard
from lanes.agents.lines import event, part, text

_SETTINGS = {
    "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": False}},
    "general": {"disableAutoUpdate": True, "enableAutoUpdate": False, "checkpointing": {"enabled": False}},
    "telemetry": {"enabled": False},
    "privacy": {"usageStatisticsEnabled": False},
    "tools": {"sandbox": False},
    "mcpServers": {},
}


def _call(errand: Errand) -> Call:
    return Call(
        ("-m", errand.model, "--yolo", "--output-format", "stream-json", "-p", errand.task),
        {
            "GEMINI_API_KEY": "none",
            "GEMINI_CLI_NO_RELAUNCH": "true",
            "GEMINI_CLI_TRUST_WORKSPACE": "true",
            "GOOGLE_GEMINI_BASE_URL": errand.url,
        },
        {".gemini/settings.json": json.dumps(_SETTINGS).encode()},
    )


class GeminiEar:
    """Its stream of JSON: the truth is in the last event, ``result``."""

    def __init__(self) -> None:
        self._heard = Heard(ended=False)
        self._last = ""
        self._speaking = False

    def line(self, line: bytes) -> None:
        """Take one event; what it says comes in pieces."""
        said, heard = event(line), self._heard
        if said is None:
            self._last = text(line.decode("utf-8", "replace")).strip()[:300] or self._last
            return
        kind = said.get("type")
        if kind == "message" and said.get("role") == "assistant":
            heard.words = text((heard.words if self._speaking else "") + text(said.get("content")))
            self._speaking = True
            return
        self._speaking = False
        if kind == "result":
            heard.ended = said.get("status") == "success"
            heard.why = "" if heard.ended else text(part(said, "error", "message")) or heard.why or "an error"
        elif kind == "error":
            heard.why = text(said.get("message")) or text(part(said, "error", "message"))

    def heard(self) -> Heard:
        """What it all came to."""
        if self._heard.ended is False and not self._heard.why:
            self._heard.why = self._last
        return self._heard


GEMINI = Cli(
    name="gemini-cli",
    programs=("gemini",),
    speaks="gemini",
    get="npm install -g @google/gemini-cli",
    call=_call,
    ear=GeminiEar,
    litter=(".gemini",),
)
