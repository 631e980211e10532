"""Fake servers of models that agent programs talk to: Anthropic, OpenAI (both protocols) and Gemini.

Each refuses what the vendor's would refuse, and writes down that it was sent (`Models.violations`).
"""

from tests.fakes.models.script import (
    Answer,
    Asked,
    Do,
    Fault,
    Say,
    Script,
    after,
    always,
    finish,
    in_turn,
    runs,
    shell,
    writes,
)  # fmt: skip
from tests.fakes.models.server import KEY, Models, serving, serving_beside

__all__ = [
    "KEY", "Answer", "Asked", "Do", "Fault", "Models", "Say", "Script", "after", "always", "finish", "in_turn", "runs",
    "serving", "serving_beside", "shell", "writes",
]  # fmt: skip
