"""Running: serve, worker, queue, pause, resume, events, stats."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING, Any

import click

from bot.cli.context import (
    NUMBER,
    CliContext,
    as_option,
    json_option,
    keep_memory_small,
    moment,
    operator,
    run,
    say_json,
)
from core.model.errors import ConflictError

if TYPE_CHECKING:
    from datetime import datetime

    from bot.wiring.app import App
    from bot.wiring.serving import ServeProcess
    from core.queue.worker import Worker
    from core.store.events import Event

FOLLOW_EVERY_S = 0.5


@click.command()
@click.option("--no-worker", is_flag=True, help="Only watch over time and dead workers; claim no jobs.")
@click.option("--port", type=click.IntRange(0, 65535), help="Where webhooks are listened for (default 8700; 0: any).")
@click.option("--host", default="127.0.0.1", metavar="ADDRESS", help="On which address (default 127.0.0.1).")
@click.pass_obj
def serve(door: CliContext, no_worker: bool, port: int | None, host: str) -> int:
    """Run every surface this home has configured, and one worker."""
    from bot.wiring.surfaces import build

    async def work() -> int:
        async with door.open() as app:
            with _only_one(app):
                serving = await build(app, host, port)
                await _until_told(app, app.worker(), claims=not no_worker, drain=False, serving=serving)
        return 0

    return run(work())


@click.command()
@click.option("--node", metavar="NAME", help="What this node is called (default: the host's name).")
@click.option("--drain", is_flag=True, help="Stop when nothing is ready.")
@click.pass_obj
def worker(door: CliContext, node: str | None, drain: bool) -> int:
    """Run one more worker on the same database."""

    async def work() -> int:
        async with door.open() as app:
            await _until_told(app, app.worker(node=node), claims=True, drain=drain)
        return 0

    return run(work())


@click.command()
@json_option
@click.pass_obj
def queue(door: CliContext, as_json: bool) -> int:
    """Show what is queued and what runs."""
    from bot.cli.output import show_queue
    from core.store import queue_queries, switches
    from core.store.unit_of_work import Tx

    async def look(tx: Tx) -> dict[str, Any]:
        rows = [
            {
                "job": job.id,
                "task": job.number,
                "revision": job.revision,
                "kind": job.kind.value,
                "state": job.state.value,
                "priority": job.priority,
                "attempt": job.attempt,
                "ready_at": job.ready_at.isoformat(),
                "deadline": job.deadline_at.isoformat() if job.deadline_at else None,
                "worker": job.owner,
                "needs": sorted(job.needs),
                "problem": await queue_queries.problem_of(tx, job.id),
            }
            for job in await queue_queries.queue_line(tx, 1000)
        ]
        return {"paused": await switches.paused(tx), "jobs": rows}

    async def work() -> int:
        async with door.open() as app:
            found = await app.database.read(look)
            say_json(found) if as_json else show_queue(found)
            return 0

    return run(work())


@click.command()
@click.option("--reason", default="", metavar="TEXT", help="Why; everybody who looks at the queue sees it.")
@as_option
@json_option
@click.pass_obj
def pause(door: CliContext, reason: str, person: str | None, as_json: bool) -> int:
    """Start no more jobs; what runs is finished, requests are still taken in."""
    return run(_set_pause(door, {"reason": reason.strip()}, person, as_json=as_json))


@click.command()
@as_option
@json_option
@click.pass_obj
def resume(door: CliContext, person: str | None, as_json: bool) -> int:
    """Let a paused queue run again."""
    return run(_set_pause(door, None, person, as_json=as_json))


@click.command()
@click.option("--task", "number", type=NUMBER, metavar="N", help="Only of #N.")
@click.option("--since", metavar="T", help="Only since then: 2h, 1d, or a time.")
@click.option("-f", "--follow", is_flag=True, help="Go on as they happen.")
@json_option
@click.pass_obj
def events(door: CliContext, number: int | None, since: str | None, follow: bool, as_json: bool) -> int:
    """Print the audit trail, oldest first; with --json one object a line."""
    from bot.cli.output import say_event
    from core.model.masking import masked
    from core.store import tasks

    begin = moment(since, past=True)

    async def work() -> int:
        import asyncio

        async with door.open() as app:
            if number is not None:
                await app.database.read(lambda tx: tasks.load(tx, number))
            last, mask = 0, app.settings().mask
            while True:
                found = await _news(app, last, number, begin)
                for event in found:
                    last = event.id
                    shown = event.to_json()
                    say_event(shown | {"body": masked(shown["body"], mask)}, as_json=as_json)
                if not found:
                    if not follow:
                        return 0
                    await asyncio.sleep(FOLLOW_EVERY_S)

    return run(work())


@click.command()
@click.option("--since", metavar="T", default="24h", help="Counts of events since then (default 24h).")
@json_option
@click.pass_obj
def stats(door: CliContext, since: str, as_json: bool) -> int:
    """Count tasks, jobs, workers and what happened."""
    from bot.cli.output import show_stats
    from bot.operations.stats import gather

    begin = moment(since, past=True)

    async def work() -> int:
        async with door.open() as app:
            found = await gather(app, begin)
            say_json(found) if as_json else show_stats(found)
            return 0

    return run(work())


COMMANDS = (serve, worker, queue, pause, resume, events, stats)


async def _news(app: App, after_id: int, number: int | None, since: datetime | None) -> list[Event]:
    from core.store import events as trail
    from core.store.database import to_ms

    since_ms = to_ms(since) if since else None
    return await app.database.read(lambda tx: trail.since(tx, after_id=after_id, number=number, since_ms=since_ms))


async def _until_told(
    app: App, running: Worker, *, claims: bool, drain: bool, serving: ServeProcess | None = None
) -> None:
    """Run until SIGINT or SIGTERM; then finish what runs, and go. A second signal does not wait for it."""
    import asyncio

    keep_memory_small()
    loop, here = asyncio.get_running_loop(), asyncio.current_task()
    told: list[str] = []

    def stop(name: str) -> None:
        told.append(name)
        if len(told) == 1:
            running.stop()
        elif here is not None:  # asked twice: what runs is given back to the queue instead of finished
            here.cancel()

    for name in ("SIGINT", "SIGTERM"):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C arrives as KeyboardInterrupt instead
            loop.add_signal_handler(getattr(signal, name), stop, name)
    if not drain:
        timing = app.settings().timing
        click.echo(
            f"countersign: serving {app.home.root} with {timing.slots if claims else 0} slots on {running.node.name}; "
            "stop with Ctrl-C.",
            err=True,
        )
    if serving is None:
        await running.run(drain=drain, claims=claims)
        return
    if serving.surfaces:
        click.echo(f"countersign: people talk to it on {', '.join(serving.surfaces)}.", err=True)
    if serving.web is not None:
        serving.web.listening = lambda address: click.echo(f"countersign: listening on {address}.", err=True)
    await serving.run(running, claims=claims)


@contextlib.contextmanager
def _only_one(app: App) -> Any:
    """One `serve` on one SQLite home: a second would double every surface."""
    from filelock import FileLock, Timeout

    if not app.location.is_sqlite:
        yield
        return
    lock = FileLock(app.home.state / "serve.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ConflictError(
            "already_serving",
            f"another `countersign serve` runs on {app.home.root}",
            "Use that one, or add a worker with `countersign worker`.",
        ) from error
    try:
        yield
    finally:
        lock.release()


async def _set_pause(door: CliContext, value: dict[str, Any] | None, person: str | None, *, as_json: bool) -> int:
    from core.store import switches
    from core.store.unit_of_work import Tx

    async with door.open() as app:
        actor = operator(app, person)
        said = {**value, "by": actor.person} if value is not None else None

        async def work(tx: Tx) -> None:
            await switches.set_pause(tx, said, actor.person)

        await app.database.write(work)
    if as_json:
        say_json({"paused": said})
    else:
        click.echo("The queue is paused." if said is not None else "The queue runs.")
    return 0
