"""The model servers and their GPUs, as a conversation is shown them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from bot.cards.inventory import endpoint_heading, endpoint_lines
from bot.surfaces.port import Response
from core.services.inventory import Inventory


@dataclass(frozen=True, slots=True)
class InventoryViews:
    """Shows the inventory in a conversation, from what the worker that watches it recorded."""

    inventory: Inventory

    async def gpus(self) -> Response:
        """Each endpoint with its state, its memory and what it has loaded."""
        now = datetime.now(UTC)
        rows = [status.to_json(now) for status in await self.inventory.endpoints()]
        if not rows:
            return Response("No model servers are configured.")
        return Response("\n\n".join("\n".join([endpoint_heading(row), *endpoint_lines(row, now)]) for row in rows))
