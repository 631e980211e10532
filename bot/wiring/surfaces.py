"""Builds every configured surface of a home and the process that serves them (`countersign serve`)."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from socket import socket
from typing import TYPE_CHECKING

from bot.cards.model import Card
from bot.cards.parts import TicketLink
from bot.integrations.tickets import tickets_in
from bot.messaging.button_actions import ButtonActions
from bot.messaging.card_builder import CardBuilder
from bot.messaging.card_delivery import CardDelivery
from bot.messaging.channel_scopes import ChannelScopes, announcement_places
from bot.messaging.command_dispatcher import CommandDispatcher
from bot.messaging.identities import IdentityDirectory
from bot.messaging.inbox import DurableInbox
from bot.messaging.inbox_consumer import InboxConsumer
from bot.messaging.inventory_views import InventoryViews
from bot.messaging.message_router import MessageRouter
from bot.messaging.note_delivery import NoteDelivery
from bot.messaging.queue_commands import QueueCommands
from bot.messaging.rate_limits import RateLimits
from bot.messaging.schedule_commands import ChatSchedules
from bot.messaging.surface_delivery import SurfaceDelivery
from bot.messaging.task_choice import TaskChoice
from bot.messaging.task_commands import TaskCommands
from bot.messaging.task_views import TaskViews
from bot.messaging.unreadable_messages import UnreadableMessages
from bot.messaging.web_links import WebLinks
from bot.surfaces.port import Surface
from bot.web.settings import DEFAULT_PORT, WebSettings
from bot.wiring.late_duty import LateDuty
from bot.wiring.optional_imports import UNUSED_BY_TELEGRAM, without_optional_imports
from bot.wiring.serving import ServeProcess
from core.model.place import ScopeOfPlace
from core.services.card_buttons import CardButtons
from core.services.card_outbox import CardOutbox
from core.services.follow_wakeup import FollowWakeup
from core.services.idle_looks import IdleLooks
from core.services.message_inbox import MessageInbox
from core.services.note_outbox import NoteOutbox
from core.services.surface_health import SurfaceHealth

if TYPE_CHECKING:
    from bot.web.server import WebServer
    from bot.wiring.app import App
    from core.queue.worker import BackgroundDuty


async def build(app: App, host: str, port: int | None, listening: socket | None = None) -> ServeProcess:
    """Everything that `serve` runs beside the worker; raises `ConfigError` for a section that is not valid.

    The web server takes over the socket `listening`, if there is one already.
    """
    app.settings.require()  # while `serve` runs, an edit that makes a section invalid is refused
    scopes = ChannelScopes(app.config.surfaces(), app.conversations)
    await scopes.load()
    return serve_surfaces(app, await surfaces_of(app, scopes), scopes, host, port, listening)


def serve_surfaces(
    app: App,
    surfaces: Mapping[str, Surface],
    scopes: ChannelScopes,
    host: str,
    port: int | None,
    listening: socket | None = None,
) -> ServeProcess:
    """Like `build`, for surfaces that are already built."""
    buttons, notes, messages = (
        CardButtons(app.database, app.settings),
        NoteOutbox(app.database),
        MessageInbox(app.database),
    )
    builder = CardBuilder(lambda text: _ticket_links(app, text))
    deliveries = {name: _delivery(app, surface, builder, buttons, notes) for name, surface in surfaces.items()}
    directory, limits = IdentityDirectory(app.identities), RateLimits(time.monotonic)
    commands = _commands(app, surfaces, builder, directory)
    scope_of = app.plugins().channel_scopes(scopes.of, surfaces)
    router = MessageRouter(
        conversations=app.conversations,
        directory=directory,
        surfaces=surfaces,
        commands=commands,
        button_actions=ButtonActions(buttons, notes, commands),
        limits=limits,
        scope_of=scope_of,
    )
    inbox = DurableInbox(messages, app.conversations, on_channel_moved=scopes.moved)
    processor = UnreadableMessages(router, directory, limits)
    consumer = InboxConsumer(
        messages, inbox, processor, surfaces, on_processed=partial(_wake, deliveries), idle=IdleLooks(app.database)
    )
    inbox.on_stored = consumer.wake
    router.acknowledge = consumer.acknowledge
    return ServeProcess(
        health=SurfaceHealth(app.database),
        surfaces=surfaces,
        inbox=inbox,
        consumer=consumer,
        deliveries=deliveries,
        web=_web(app, surfaces, inbox, host, port, listening),
        announcement_places=announcement_places(app.config.surfaces()),
        loops=_loops(app, scope_of),
    )


def _wake(deliveries: Mapping[str, SurfaceDelivery]) -> None:
    for delivery in deliveries.values():
        delivery.wake()


def _delivery(
    app: App, surface: Surface, builder: CardBuilder, buttons: CardButtons, notes: NoteOutbox
) -> SurfaceDelivery:
    cards = CardDelivery(
        surface=surface,
        outbox=CardOutbox(app.database, app.settings),
        buttons=buttons,
        documents=app.documents,
        diffs=app.diffs,
        builder=builder,
        one_card=surface.name == "github",
    )
    return SurfaceDelivery(cards, NoteDelivery(surface, notes), IdleLooks(app.database))


def _commands(
    app: App, surfaces: Mapping[str, Surface], builder: CardBuilder, directory: IdentityDirectory
) -> CommandDispatcher:
    views = TaskViews(
        documents=app.documents,
        queries=app.queries,
        task_search=app.task_search,
        conversations=app.conversations,
        diffs=app.diffs,
        builder=builder,
        surfaces=surfaces,
    )
    return CommandDispatcher(
        requests=app.requests,
        task_commands=TaskCommands(app.requests, app.approvals, views, app.partial_changes, app.budgets),
        views=views,
        conversations=app.conversations,
        task_choice=TaskChoice(app.conversations),
        queue_commands=QueueCommands(app.queue_control, app.inventory),
        schedules=ChatSchedules(app.schedules),
        identities=directory,
        inventory=InventoryViews(app.inventory),
        web_links=WebLinks(app.web_sessions, lambda: app.config.web),
    )


def _ticket_links(app: App, text: str) -> tuple[TicketLink, ...]:
    return tuple(TicketLink(ticket.key, ticket.url) for ticket in tickets_in(text, app.trackers()))


def _loops(app: App, scope_of: ScopeOfPlace) -> dict[str, Callable[[], Awaitable[None]]]:
    """The loops beside the surfaces: recurring requests, outbound webhooks, alerts and metrics.

    Surfaces listen before these begin.
    """
    duties = {
        "schedules": LateDuty(lambda: _schedules(app, scope_of)),
        "webhooks": LateDuty(lambda: _webhooks(app)),
        "alerts": LateDuty(lambda: _alerts(app)),
    }
    from bot.wiring.metrics import metrics_loops

    return {**{name: duty.run for name, duty in duties.items()}, **metrics_loops(app)}


def _schedules(app: App, scope_of: ScopeOfPlace) -> BackgroundDuty:
    from bot.schedule.clock import ScheduleClock, asker

    # it knows when the next request is due, so it looks rarely
    return ScheduleClock(app.schedules, asker(app.requests, scope_of), idle=IdleLooks(app.database, 60.0, 60.0))


def _alerts(app: App) -> BackgroundDuty:
    from bot.wiring.alerts import alert_watch

    return alert_watch(app)


def _webhooks(app: App) -> BackgroundDuty:
    from bot.integrations.tickets import TicketComments
    from bot.integrations.webhooks.client import CheckedClient
    from bot.integrations.webhooks.sender import WebhookSender

    client = CheckedClient()
    comments = TicketComments(app.trackers, client)
    # also without hooks, so that its cursor advances: a hook that is added later receives only events from then on
    mask = app.settings().mask
    receivers = app.plugins().receivers(comments, mask)
    idle = IdleLooks(app.database)
    return WebhookSender(app.webhooks, app.hooks, client=client, receivers=receivers, idle=idle, mask=mask)


def _web(
    app: App,
    surfaces: Mapping[str, Surface],
    inbox: DurableInbox,
    host: str,
    port: int | None,
    listening: socket | None,
) -> WebServer | None:
    """The web server with webhooks, the API, MCP and the pages, if one of them is configured or a port was given."""
    webhooks = [route for surface in surfaces.values() for route in surface.routes(inbox)]
    if not webhooks and port is None and listening is None and app.config.web is None and app.config.metrics() is None:
        return None
    from bot.mcp.http import mcp_routes
    from bot.web.api import api_routes
    from bot.web.mount import Site
    from bot.web.server import WebServer
    from bot.wiring.metrics import metrics_routes

    site = Site(app, lambda: app.config.web or WebSettings())
    routes = [*webhooks, *api_routes(app), *mcp_routes(app), *metrics_routes(app), *site.routes()]
    server = WebServer(routes, host, DEFAULT_PORT if port is None else port, listening=listening)
    server.on_stopping = site.close
    return server


async def surfaces_of(app: App, scopes: ChannelScopes | None = None) -> dict[str, Surface]:
    """Each configured surface, and those of plugins; vendors' libraries are imported only for configured ones."""
    configured = app.config.surfaces()
    surfaces: dict[str, Surface] = {}
    if configured.telegram is not None:
        with without_optional_imports(*UNUSED_BY_TELEGRAM):
            from bot.surfaces.telegram.surface import TelegramSurface

        if scopes is None:
            scopes = ChannelScopes(configured, app.conversations)
            await scopes.load()
        surfaces["telegram"] = TelegramSurface(
            replace(configured.telegram, chats=scopes.current("telegram", configured.telegram.chats))
        )
    if configured.slack is not None:
        from bot.surfaces.slack.surface import SlackSurface

        surfaces["slack"] = SlackSurface(configured.slack, waiting=_waiting(app))
    hub = app.github()
    if configured.github is not None and configured.github.webhook_secret is not None and hub is not None:
        from bot.surfaces.github.rest import RestCommentsClient
        from bot.surfaces.github.surface import GitHubSurface

        surfaces["github"] = GitHubSurface(
            configured.github, RestCommentsClient(hub), wake_follow_job=_wake_follow_jobs(app)
        )
    return surfaces | app.plugins().surfaces()


def _waiting(app: App) -> Callable[[str], Awaitable[Sequence[Card]]]:
    """Returns a function that finds the cards that wait for the person with a Slack identity."""
    builder = CardBuilder()

    async def waiting(identity: str) -> Sequence[Card]:
        person = await app.identities.person_of("slack", identity)
        documents = await app.documents.awaiting(person) if person is not None else ()
        return [builder.card(document) for document in documents]

    return waiting


def _wake_follow_jobs(app: App) -> Callable[[str, int | None, str | None], Awaitable[None]]:
    """Returns a function that wakes the follow jobs of a repository's pull request."""
    pull_requests = FollowWakeup(app.database)

    async def wake(repository: str, pull: int | None, commit: str | None) -> None:
        names = [spec.name for spec in app.settings().repositories.values() if str(spec.forge_id) == repository]
        if names:
            await pull_requests.wake_follow_jobs(names, pull, commit)

    return wake
