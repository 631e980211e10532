"""The model servers and the hosts of workers, with their memory as bars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.cards.inventory import endpoint_heading, endpoint_lines, gib, node_lines
from bot.cards.safe import one_line
from bot.web.site.site_context import SiteContext


@dataclass(frozen=True, slots=True)
class MemoryBar:
    """The memory of one GPU or of a host without: a label, and how much of it is used, as numbers and in words."""

    label: str
    used: int
    total: int
    text: str


def router(site: SiteContext) -> APIRouter:
    """The routes of the endpoints."""
    routes = APIRouter()

    @routes.get("/endpoints")
    async def endpoints(request: Request) -> Response:
        now = datetime.now(UTC)
        rows = [status.to_json(now) for status in await site.services.inventory.endpoints()]
        nodes = [status.to_json() for status in await site.services.inventory.nodes()]
        values: dict[str, Any] = {
            "endpoints": [
                (endpoint_heading(row), row["state"], endpoint_lines(row, now), [*_bars(row)]) for row in rows
            ],
            "nodes": [(one_line(row["name"]), node_lines(row, now), [*_bars(row)]) for row in nodes],
        }
        return site.render.page(request, "endpoints.html", **values)

    return routes


def _bars(row: Mapping[str, Any]) -> Iterator[MemoryBar]:
    memories = [(f"GPU {n} {gpu['name'] or ''}".strip(), gpu) for n, gpu in enumerate(row["gpus"])]
    if not memories and row["ram"]:
        memories = [("memory", row["ram"])]
    for label, memory in memories:
        total, free = memory["total_bytes"], memory["free_bytes"]
        if total and free is not None:
            text = f"{gib(total - free)} of {gib(total)} used"
            yield MemoryBar(one_line(label, 40), total - free, total, text)
