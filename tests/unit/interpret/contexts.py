"""Contexts and turns as core gives them to an interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.model.turn import Turn
from core.ports.interpretation import InterpretationContext, LaneOffer
from core.ports.journal import Journal
from tests.builders import NOON

FILES = ("README.md", "config/app.yaml", "docs/guide.md", "src/a.py")
DOCS = LaneOffer("docs", "documentation", ("docs/**", "**/*.md"), reads=False)
CONFIG = LaneOffer("config", "settings", ("config/**",), reads=False)
CODE = LaneOffer("code", "everything else", ("**",), reads=True)
BY_RULE = (CONFIG, DOCS)
ALL = (CODE, CONFIG, DOCS)


def context(
    offers: Sequence[LaneOffer] = ALL,
    *,
    files: Sequence[str] = FILES,
    repository: str | None = "web",
    journal: Journal | None = None,
    **others: Any,
) -> InterpretationContext:
    """A context with these files."""

    async def listed() -> Sequence[str]:
        return files

    return InterpretationContext(repository, tuple(offers), listed, journal, **others)


def turns(*texts: str) -> tuple[Turn, ...]:
    """What ana said, in order."""
    return tuple(Turn(n, "ana", "terminal", text, NOON, n) for n, text in enumerate(texts, 1))


def edits(*found: dict[str, Any], **others: Any) -> dict[str, Any]:
    """An answer that means edits."""
    return {"reading": "edits", "sure": True, "lane": "", "edits": list(found), **others}


def set_timeout(**others: Any) -> dict[str, Any]:
    """The edit that sets the timeout to 30."""
    return {"kind": "set_key", "path": "config/app.yaml", "key": "server.timeout", "value": "30", **others}


WORK = {"reading": "work", "lane": "code"}
VAGUE = "the server gives up too early, could it wait for half a minute?"
"""A request that the grammar cannot read."""
