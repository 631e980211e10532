"""The commands serve, worker and events."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import click

from bot.cli.context import (
    NUMBER,
    CliContext,
    json_option,
    keep_memory_small,
    parse_time,
    run,
)
from core.model.errors import ConflictError

if TYPE_CHECKING:
    from bot.operations.doctor_rows import DoctorRow
    from bot.wiring.app import App
    from bot.wiring.serving import ServeProcess
    from core.queue.worker import Worker

FOLLOW_EVERY_S = 0.5


@click.command()
@click.option("--no-worker", is_flag=True, help="Claim no jobs; only run the surfaces, timers and the reconciler.")
@click.option("--port", type=click.IntRange(0, 65535), help="The port for webhooks (default 8700; 0: any).")
@click.option("--host", default="127.0.0.1", metavar="ADDRESS", help="The address to listen on (default 127.0.0.1).")
@click.pass_obj
def serve(context: CliContext, no_worker: bool, port: int | None, host: str) -> int:
    """Run every surface that is configured in this home, and one worker; without a home, a page that sets one up."""
    from bot.wiring.late_worker import LateWorker
    from bot.wiring.surfaces import build

    async def work() -> int:
        listening = await _set_up_first(context, host, port)
        async with context.open() as app:
            app.settings.require("models")
            app.examine = lambda: _examine(app)
            with _single_server(app):
                serving = await build(app, host, port, listening)
                worker = LateWorker(lambda: _build_worker(app))
                _announce(app, socket.gethostname(), claims=not no_worker, serving=serving)
                await _run_until_signal(worker.stop, serving.run(worker, claims=not no_worker))
        return 0

    return run(work())


@click.command()
@click.option("--node", metavar="NAME", help="The name of this node (default: the host's name).")
@click.option("--drain", is_flag=True, help="Stop when nothing is ready.")
@click.pass_obj
def worker(context: CliContext, node: str | None, drain: bool) -> int:
    """Run one more worker on the same database."""

    async def work() -> int:
        async with context.open() as app:
            worker = _build_worker(app, node)
            if not drain:
                _announce(app, worker.node.name, claims=True)
            await _run_until_signal(worker.stop, worker.run(drain=drain))
        return 0

    return run(work())


@click.command()
@click.option("--task", "number", type=NUMBER, metavar="N", help="Only of #N.")
@click.option("--since", metavar="T", help="Only since then: 2h, 1d, or a time.")
@click.option("-f", "--follow", is_flag=True, help="Keep printing new events.")
@json_option
@click.pass_obj
def events(context: CliContext, number: int | None, since: str | None, follow: bool, as_json: bool) -> int:
    """Print the audit trail, oldest first; with --json one object a line."""
    from bot.cli.output import print_event

    begin = parse_time(since, past=True)

    async def work() -> int:
        import asyncio

        async with context.open() as app:
            last = 0
            while True:
                page = await app.queries.events(after_id=last, number=number, since=begin)
                for event in page:
                    last = event.id
                    print_event(event.to_json(), as_json=as_json)
                if not page:
                    if not follow:
                        return 0
                    await asyncio.sleep(FOLLOW_EVERY_S)

    return run(work())


COMMANDS = (serve, worker, events)


async def _examine(app: App) -> list[DoctorRow]:
    """What `doctor` finds, for the page; imported at its first visit."""
    from bot.operations.doctor import examine

    return await examine(app.home)


def _build_worker(app: App, node: str | None = None) -> Worker:
    """The worker of this process; with it everything is imported that runs from the start."""
    from bot.wiring.worker import build_worker

    worker = build_worker(app, node)
    keep_memory_small()
    return worker


def _announce(app: App, node: str, *, claims: bool, serving: ServeProcess | None = None) -> None:
    """Say what runs, and where it can be reached."""
    slots = app.settings().timing.slots if claims else 0
    click.echo(f"countersign: serving {app.home.root} with {slots} slots on {node}; stop with Ctrl-C.", err=True)
    if serving is None:
        return
    if serving.surfaces:
        click.echo(f"countersign: connected to {', '.join(serving.surfaces)}.", err=True)
    if serving.web is not None:
        serving.web.on_listening = lambda address: click.echo(f"countersign: listening on {address}.", err=True)


async def _run_until_signal(stop_claiming: Callable[[], None], work: Awaitable[None]) -> None:
    """Run until SIGINT or SIGTERM, then let running jobs finish; a second signal returns them to the queue."""
    import asyncio

    loop, here = asyncio.get_running_loop(), asyncio.current_task()
    received: list[str] = []

    def stop(name: str) -> None:
        received.append(name)
        if len(received) == 1:
            stop_claiming()
        elif here is not None:  # the second signal: running jobs go back to the queue
            here.cancel()

    for name in ("SIGINT", "SIGTERM"):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C arrives as KeyboardInterrupt instead
            loop.add_signal_handler(getattr(signal, name), stop, name)
    await work


async def _set_up_first(context: CliContext, host: str, port: int | None) -> socket.socket | None:
    """If there is nothing at all where the home should be, serve the page that makes one; returns its socket."""
    home = context.home()
    if not home.is_new:
        return None
    from bot.operations.first_run import set_up
    from bot.web.settings import DEFAULT_PORT

    def show(link: str) -> None:
        click.echo(
            f"countersign: {home.root} is empty. Open this link on this machine, once, within ten minutes:", err=True
        )
        click.echo(link)

    return await set_up(home, host, DEFAULT_PORT if port is None else port, show)


@contextlib.contextmanager
def _single_server(app: App) -> Any:
    """Hold the lock that lets only one `serve` run on a SQLite home; raises `ConflictError` if another has it."""
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
            f"another `countersign serve` is running on {app.home.root}",
            "Use that one, or add a worker with `countersign worker`.",
        ) from error
    try:
        yield
    finally:
        lock.release()
