"""Adapter of mini-swe-agent (PyPI ``mini-swe-agent``), a shell loop in Python; measured with 2.4.6.

Its trajectory file, which follows its output, says what it did.
"""

from __future__ import annotations

import json
from typing import Any

from lanes.agent_clis.adapter import FILE_MARK, HOME, AgentCliAdapter, AgentCommand, AgentPrompt, AgentReport
from lanes.agent_clis.stream_lines import dollars, list_at, text, value_at

_TRAJECTORY_FILE = f"{HOME}/.lane/traj.json"


def _command(prompt: AgentPrompt) -> AgentCommand:
    return AgentCommand(
        ("-m", f"openai/{prompt.model}", "-y", "--exit-immediately", "-o", _TRAJECTORY_FILE, "-t", prompt.task),
        {
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "MSWEA_CONFIGURED": "true",
            "MSWEA_COST_TRACKING": "ignore_errors",
            "MSWEA_SILENT_STARTUP": "1",
            "MSWEA_GLOBAL_CONFIG_DIR": f"{HOME}/.lane",
            "OPENAI_API_BASE": f"{prompt.url}/v1",
            "OPENAI_API_KEY": "none",
        },
        {".lane/.env": b""},
        printed_file=_TRAJECTORY_FILE,
    )


class MiniSweParser:
    """Parses its output and, after the mark, its trajectory; a submitted result is a success."""

    def __init__(self) -> None:
        self._trajectory_json: bytearray | None = None
        self._last_lines: list[str] = []

    def feed(self, line: bytes) -> None:
        """See `EventParser.feed`."""
        if line == FILE_MARK:
            self._trajectory_json = bytearray()  # the last mark counts, since the program may print one itself
        elif self._trajectory_json is not None:
            self._trajectory_json += line + b"\n"
        elif stripped := text(line.decode("utf-8", "replace")).strip():
            self._last_lines = [*self._last_lines[-2:], stripped[:300]]

    def report(self) -> AgentReport:
        """See `EventParser.report`."""
        trajectory = self._trajectory()
        if trajectory is None:
            return AgentReport(succeeded=False, error=" / ".join(self._last_lines))
        state = text(value_at(trajectory, "info", "exit_status"))
        succeeded = state == "Submitted"
        usd = dollars(value_at(trajectory, "info", "model_stats", "instance_cost"))
        answers = [
            text(value_at(message, "content"))
            for message in list_at(trajectory, "messages")
            if value_at(message, "role") == "assistant"
        ]
        last_message = text(value_at(trajectory, "info", "submission")).strip() or next(
            (answer for answer in reversed(answers) if answer), ""
        )
        error = "" if succeeded else " ".join(filter(None, (state, " / ".join(self._last_lines))))
        return AgentReport(last_message=last_message, succeeded=succeeded, error=error, cost_usd=usd or None)

    def _trajectory(self) -> dict[str, Any] | None:
        try:
            trajectory = json.loads(bytes(self._trajectory_json or b""))
        except (ValueError, RecursionError):
            return None
        return trajectory if isinstance(trajectory, dict) else None


MINI_SWE = AgentCliAdapter(
    name="mini-swe-agent",
    program_names=("mini", "mini-swe-agent"),
    protocol="openai",
    install_hint="pipx install mini-swe-agent",
    build_command=_command,
    new_parser=MiniSweParser,
    transcript_name="transcript.txt",
)
