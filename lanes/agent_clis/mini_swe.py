"""mini-swe-agent (PyPI ``mini-swe-agent``): a shell loop in Python; measured with 2.4.6.

What it did is in the trajectory that it keeps in its home, which is told on after its own words.
"""

from __future__ import annotations

import json
from typing import Any

from lanes.agent_clis.cli import HOME, MARK, AgentCliAdapter, AgentCommand, AgentEvent, AgentPrompt
from lanes.agent_clis.stream_lines import many, money, part, text

_KEPT = f"{HOME}/.lane/traj.json"


def _call(errand: AgentPrompt) -> AgentCommand:
    return AgentCommand(
        ("-m", f"openai/{errand.model}", "-y", "--exit-immediately", "-o", _KEPT, "-t", errand.task),
        {
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "MSWEA_CONFIGURED": "true",
            "MSWEA_COST_TRACKING": "ignore_errors",
            "MSWEA_SILENT_STARTUP": "1",
            "MSWEA_GLOBAL_CONFIG_DIR": f"{HOME}/.lane",
            "OPENAI_API_BASE": f"{errand.url}/v1",
            "OPENAI_API_KEY": "none",
        },
        {".lane/.env": b""},
        also=_KEPT,
    )


class MiniSweParser:
    """Its words, and after the mark its trajectory: what it submitted ended well."""

    def __init__(self) -> None:
        self._kept: bytearray | None = None
        self._last: list[str] = []

    def line(self, line: bytes) -> None:
        """Take one line."""
        if line == MARK:
            self._kept = bytearray()  # the last mark counts: what stands before it is anybody's
        elif self._kept is not None:
            self._kept += line + b"\n"
        elif said := text(line.decode("utf-8", "replace")).strip():
            self._last = [*self._last[-2:], said[:300]]

    def heard(self) -> AgentEvent:
        """What it all came to."""
        kept = self._trajectory()
        if kept is None:
            return AgentEvent(ended=False, why=" / ".join(self._last))
        state = text(part(kept, "info", "exit_status"))
        well = state == "Submitted"
        usd = money(part(kept, "info", "model_stats", "instance_cost"))
        said = [text(part(one, "content")) for one in many(kept, "messages") if part(one, "role") == "assistant"]
        words = text(part(kept, "info", "submission")).strip() or next((s for s in reversed(said) if s), "")
        why = "" if well else " ".join(filter(None, (state, " / ".join(self._last))))
        return AgentEvent(words=words, ended=well, why=why, usd=usd or None)

    def _trajectory(self) -> dict[str, Any] | None:
        try:
            kept = json.loads(bytes(self._kept or b""))
        except (ValueError, RecursionError):
            return None
        return kept if isinstance(kept, dict) else None


MINI_SWE = AgentCliAdapter(
    name="mini-swe-agent",
    programs=("mini", "mini-swe-agent"),
    speaks="openai",
    get="pipx install mini-swe-agent",
    call=_call,
    ear=MiniSweParser,
    transcript="transcript.txt",
)
