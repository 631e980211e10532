"""The doors: builds every configured surface of a home and what serves them; the wiring of `countersign serve`."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.cards.model import Card
from bot.cards.parts import TicketLink
from bot.integrations.tickets import tickets_in
from bot.messaging.button_actions import ButtonActions
from bot.messaging.card_delivery import CardDelivery
from bot.messaging.channel_scopes import ChannelScopes, channel_scopes_of
from bot.messaging.command_dispatcher import CommandDispatcher
from bot.messaging.identities import IdentityDirectory
from bot.messaging.inbox import DurableInbox
from bot.messaging.inbox_consumer import InboxConsumer
from bot.messaging.message_router import MessageRouter
from bot.messaging.quotations import QuotationHints
from bot.messaging.rate_limits import RateLimits
from bot.messaging.schedule_commands import ChatSchedules
from bot.messaging.task_views import TaskViews
from bot.schedule.schedules import ScheduleUseCases
from bot.surfaces.port import Surface
from bot.wiring.request_check import RequestCheck
from bot.wiring.serving import ServeProcess
from core.store import jobs, pull_requests
from core.store.unit_of_work import Tx

if TYPE_CHECKING:
    from bot.web.server import WebServer
    from bot.wiring.app import App

DEFAULT_PORT = 8700


async def build(app: App, host: str, port: int | None) -> ServeProcess:
    """Everything that `serve` runs beside the worker; raises `ConfigError` for a section that is not sound."""
    app.config.check()
    rooms = ChannelScopes(app.config.surfaces(), app.database)
    await rooms.load()
    return serve_surfaces(app, await surfaces_of(app, rooms), rooms, host, port)


def serve_surfaces(
    app: App, surfaces: Mapping[str, Surface], rooms: ChannelScopes, host: str, port: int | None
) -> ServeProcess:
    """The same for surfaces that are there already."""
    said, diffs = app.config.surfaces(), app.diffs
    trackers = app.config.trackers()

    def tickets(text: str) -> tuple[TicketLink, ...]:
        return tuple(TicketLink(ticket.key, ticket.url) for ticket in tickets_in(text, trackers))

    couriers = {
        name: CardDelivery(surface, app.database, app.settings, diffs, tickets=tickets, one_card=name == "github")
        for name, surface in surfaces.items()
    }
    ears = DurableInbox(app.database, told_move=rooms.moved)
    showing = TaskViews(app.database, app.settings, couriers)
    doings = CommandDispatcher(app.database, app.settings, app.service, app.verdicts, showing, app.repository)
    directory = IdentityDirectory(app.database, app.settings)
    doings.recurring = ChatSchedules(ScheduleUseCases(app.database, app.settings, app.config.zone, RequestCheck(app)))
    doings.accounts = directory
    talk = MessageRouter(
        database=app.database,
        directory=directory,
        surfaces=surfaces,
        doings=doings,
        clicks=ButtonActions(app.database, doings),
        limits=RateLimits(time.monotonic),
        rooms=app.plugins().rooms(rooms.of, surfaces),
    )

    def wake_couriers() -> None:
        for courier in couriers.values():
            courier.wake()

    listener = QuotationHints(talk, talk.directory, talk.limits)
    hearing = InboxConsumer(app.database, ears, listener, surfaces, said=wake_couriers)
    ears.wake = hearing.wake
    talk.seen = hearing.acknowledge
    return ServeProcess(
        database=app.database,
        surfaces=surfaces,
        ears=ears,
        hearing=hearing,
        couriers=couriers,
        web=_web(surfaces, ears, host, port),
        rooms=channel_scopes_of(said),
        also=_also(app),
    )


def _also(app: App) -> dict[str, Callable[[], Awaitable[None]]]:
    """The loops beside the surfaces: recurring requests and outbound webhooks."""
    from bot.integrations.tickets import TicketComments
    from bot.integrations.webhooks.client import CheckedClient
    from bot.integrations.webhooks.run import WebhookSender
    from bot.schedule.clock import ScheduleClock, asker

    client = CheckedClient()
    hooks, trackers = app.config.hooks(), app.config.trackers()
    comments = TicketComments(lambda: trackers, client)
    # always, even without a hook: its cursor goes along, so that a hook that is added gets what happens from then on
    receivers = app.plugins().receivers(comments)
    mask = app.settings().mask
    outbound = WebhookSender(app.database, lambda: hooks, client=client, receivers=receivers, mask=mask)
    return {"schedules": ScheduleClock(app.database, asker(app.service)).run, "webhooks": outbound.run}


def _web(surfaces: Mapping[str, Surface], ears: DurableInbox, host: str, port: int | None) -> WebServer | None:
    """The web server, when a surface wants one or a port was named."""
    routes = [route for surface in surfaces.values() for route in surface.routes(ears)]
    if not routes and port is None:
        return None
    from bot.web.server import WebServer

    return WebServer(routes, host, DEFAULT_PORT if port is None else port)


async def surfaces_of(app: App, rooms: ChannelScopes | None = None) -> dict[str, Surface]:
    """Each configured surface and those of plugins; a vendor's library is imported only for one that is."""
    said = app.config.surfaces()
    found: dict[str, Surface] = {}
    if said.telegram is not None:
        from bot.surfaces.telegram.surface import TelegramSurface

        if rooms is None:
            rooms = ChannelScopes(said, app.database)
            await rooms.load()
        found["telegram"] = TelegramSurface(
            replace(said.telegram, chats=rooms.current("telegram", said.telegram.chats))
        )
    if said.slack is not None:
        from bot.surfaces.slack.surface import SlackSurface

        found["slack"] = SlackSurface(said.slack, waiting=_waiting(app))
    hub = app.github()
    if said.github is not None and said.github.webhook_secret is not None and hub is not None:
        from bot.surfaces.github.rest import ClientComments
        from bot.surfaces.github.surface import GitHubSurface

        found["github"] = GitHubSurface(said.github, ClientComments(hub), nudge=_nudge(app))
    return found | app.plugins().surfaces()


def _waiting(app: App) -> Callable[[str], Awaitable[Sequence[Card]]]:
    """The cards that wait for whoever has this identity at Slack."""
    directory = IdentityDirectory(app.database, app.settings)
    showing = TaskViews(app.database, app.settings, {})

    async def waiting(identity: str) -> Sequence[Card]:
        person = await directory.person("slack", identity)
        return await showing.waiting_for(person) if person is not None else ()

    return waiting


def _nudge(app: App) -> Callable[[str, int | None, str | None], Awaitable[None]]:
    """Something happened at a pull request: look at it soon; whatever was said of it is read anew."""

    async def nudge(repository: str, pull: int | None, commit: str | None) -> None:
        names = [spec.name for spec in app.settings().repositories.values() if str(spec.forge_id) == repository]

        async def work(tx: Tx) -> None:
            for number in await pull_requests.followed_at(tx, names, pull, commit):
                await jobs.wake_follow_job(tx, number)

        if names:
            await app.database.write(work)

    return nudge
