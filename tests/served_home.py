"""A real home that is served in this process, with people who write on several surfaces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from bot.configuration.home import Home
from bot.messaging.channel_scopes import ChannelScopes
from bot.operations.doctor import examine
from bot.surfaces.port import ButtonPress, IncomingMessage, Place, Response, Surface
from bot.web.server import WebServer
from bot.wiring.app import App, opened
from bot.wiring.serving import RestartDelays, ServeProcess
from bot.wiring.surfaces import serve_surfaces
from bot.wiring.worker import build_worker
from core.model.task import Task
from core.store import cards
from core.store.unit_of_work import Tx
from tests.fakes.surface import MemorySurface, Message
from tests.homes import CliHome

IDS = {
    "telegram": {"ana": "101", "bo": "102", "lee": "103", "max": "104"},
    "slack": {"ana": "T1AAA/U101", "bo": "T1AAA/U102", "lee": "T1AAA/U103", "max": "T1AAA/U104"},
    "github": {"ana": "9101", "bo": "9102", "lee": "9103", "max": "9104"},
}
"""Each person's identity on each surface."""
ROLES = {"ana": "member", "bo": "member", "lee": "maintainer", "max": "maintainer"}
ASK = "set server.timeout to 30 in config/app.yaml"


def introduce(home: CliHome, surfaces: Mapping[str, Mapping[str, str]] = IDS, more: str = "") -> None:
    """Write all identities, and short intervals, into the home's configuration."""
    config = home.root / "countersign.yaml"
    text = config.read_text()
    begin = text.index("people:")
    lines = ["people:"]
    for name, role in ROLES.items():
        known = ", ".join(f'{surface}: "{ids[name]}"' for surface, ids in surfaces.items() if name in ids)
        lines.append(f"  {name}: {{roles: [{role}], identities: {{{known}}}}}")
    worker = "worker: {heartbeat_s: 0.5, lease_s: 5, poll_s: 0.1}"
    config.write_text(text[:begin] + "\n".join(lines) + f"\n{worker}\n{more}\n")


@dataclass
class ServedHome:
    """A served home, and the people who write to it."""

    home: CliHome
    app: App
    serving: ServeProcess
    surfaces: Mapping[str, Surface]
    running: asyncio.Task[None] = field(repr=False)

    def memory(self, name: str = "telegram") -> MemorySurface:
        """A surface in memory."""
        surface = self.surfaces[name]
        assert isinstance(surface, MemorySurface)
        return surface

    async def says(self, person: str, text: str, where: Place, **more: Any) -> Response:
        """Send a message from `person` on a surface in memory; returns the response."""
        surface = self.memory(where.surface)
        return await self.deliver(surface.writes(IDS[where.surface][person], text, where, **more))

    async def clicks(self, person: str, message: Message, label: str, text: str = "") -> Response:
        """Press a button of a message as `person`; returns the response."""
        surface = self.memory(message.place.surface)
        return await self.deliver(surface.clicks(IDS[message.place.surface][person], message, label, text))

    async def deliver(self, message: IncomingMessage | ButtonPress) -> Response:
        """Store a message as its surface would; returns the response."""
        accepted = await self.serving.inbox.accept(message)
        response = await self.serving.inbox.wait_for_response(accepted, 60)
        assert response is not None, f"no response to {message}"
        return response

    async def task(self, number: int = 1) -> Task:
        """The task as it is now."""
        return (await self.app.documents.document(number)).task

    async def digest(self, number: int = 1) -> str:
        """The digest of the staged diff."""
        staged = (await self.task(number)).staged
        assert staged is not None
        return staged.digest

    @property
    def web(self) -> WebServer:
        """The server for webhooks."""
        assert self.serving.web is not None
        return self.serving.web

    async def card(self, number: int, state: str, surface: str = "telegram", within_s: float = 60) -> Message:
        """The newest message that shows task `number`, once it shows this state."""
        memory = self.memory(surface)

        def find() -> Message | None:
            cards = [m for m in memory.cards if m.card is not None and m.card.number == number]
            return cards[-1] if cards and cards[-1].card is not None and cards[-1].card.state.value == state else None

        message: Message = await self.until(find, f"a card of #{number} that is {state}", within_s)
        return message

    async def until_delivered(self, number: int, where: Place | str, digest: str, within_s: float = 60) -> None:
        """Wait until the whole diff of `digest` is recorded as shown in a place, or on a surface."""

        async def look(tx: Tx) -> bool:
            shown = await cards.of_task(tx, number)
            there = (c for c in shown if where in (c.place.surface, c.place))
            return any(card.delivered == digest for card in there)

        end = asyncio.get_running_loop().time() + within_s
        while not await self.app.database.read(look):
            assert asyncio.get_running_loop().time() < end, f"{digest} was never shown in {where}"
            await asyncio.sleep(0.02)

    async def staged(self, where: Place, text: str = ASK, person: str = "ana") -> Message:
        """Make a request; returns its card once it is staged."""
        before = len(self.memory(where.surface).cards)
        await self.says(person, text, where)
        await self.until(lambda: len(self.memory(where.surface).cards) > before, "a card")
        number = self.memory(where.surface).cards[-1].shown.number
        return await self.card(number, "staged", where.surface)

    async def until(self, find: Any, what: str, within_s: float = 60) -> Any:
        """Wait until `find()` returns something true; returns that."""
        loop = asyncio.get_running_loop()
        end = loop.time() + within_s
        while not (result := find()):
            if self.running.done():
                self.running.result()
            assert loop.time() < end, f"{what} never appeared: {self._seen()}"
            await asyncio.sleep(0.02)
        return result

    def _seen(self) -> str:
        surfaces = [s for s in self.surfaces.values() if isinstance(s, MemorySurface)]
        return "; ".join(
            f"{m.id} {m.card.label} {m.card.state.value}" if m.card else f"{m.id} {m.text!r}"
            for s in surfaces
            for m in s.messages.values()
        )


class OpenChannelScopes(ChannelScopes):
    """Channel scopes in which chats in memory, which are not configured, are for all repositories."""

    def of(self, place: Place) -> tuple[str, ...] | None:
        scope = ChannelScopes.of(self, place)
        is_repository = place.surface == "github" and self.configured.github is not None
        return None if scope == () and not is_repository else scope


@asynccontextmanager
async def serve_home(
    home: CliHome,
    surfaces: Mapping[str, Surface],
    port: int | None = None,
    rooms: Sequence[Place] = (),
    app: App | None = None,
    patience: RestartDelays | None = None,
) -> AsyncIterator[ServedHome]:
    """Serve `home`, or its opened `app`, on these surfaces during the block."""
    async with opened(Home(home.root)) if app is None else nullcontext(app) as served:
        served.examine = partial(examine, served.home)
        serving = serve_surfaces(
            served, surfaces, OpenChannelScopes(served.config.surfaces(), served.conversations), "127.0.0.1", port
        )
        serving.announcement_places = [*serving.announcement_places, *rooms]
        serving.delays = patience or serving.delays
        worker = build_worker(served)
        running = asyncio.create_task(serving.run(worker, claims=True))
        try:
            yield ServedHome(home, served, serving, surfaces, running)
        finally:
            worker.stop()
            with suppress(asyncio.CancelledError):
                await asyncio.wait_for(running, 60)
