"""The executors that send an agent program into the sandbox, and take what it leaves."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from core.model.errors import CountersignError, Kind, Problem, TransientError, UsageError
from core.model.lane import Lane
from core.model.provenance import Provenance
from core.ports import ExecutorResult, Repository, WorkOrder
from lanes.agent_clis import CLIS
from lanes.agent_clis.cli import MARK, PORT, PROXY_PORT, AgentCliAdapter, AgentCommand, AgentEvent, AgentPrompt
from lanes.agent_clis.generic import NAME, described
from lanes.agent_clis.hidden_files import HiddenFiles
from lanes.agent_clis.outcome import AgentOutcome
from lanes.agent_clis.program import AgentProgram, ProgramPlace, find_program
from lanes.agent_clis.prompts import task
from lanes.agent_clis.stream_lines import StreamLines, plain
from lanes.egress import PROTOCOLS, EgressBroker, EgressLog, EgressProxy, UsageAccount
from lanes.executors.workplace import Place as Workplace
from lanes.executors.workplace import Workplaces
from lanes.models import Endpoint, ModelName
from lanes.repository import as_git
from lanes.sandbox import PortForward, Sandbox, SandboxLimits, SandboxResult, SandboxRun, need_of

BROKER_LOG: Final = "broker.log"
_TELL_S: Final = 2.0
_MOST_WORDS: Final = 500
_FULL_BYTES: Final = 16 * 1024 * 1024
# Runs the program, and tells a file of its home on behind a mark; its words are never read as a script.
_THEN: Final = f'"$@"; code=$?; printf "\\n%s\\n" "{MARK.decode()}"; cat "$0"; exit $code'


@dataclass(slots=True)
class AgentRun:
    """One run, while it goes on."""

    order: WorkOrder
    cli: AgentCliAdapter
    account: UsageAccount
    log: EgressLog = field(default_factory=EgressLog)
    ran: SandboxResult | None = None
    output: bytes = b""


def agent_executor(
    name: str,
    scratch: Path,
    endpoints: Mapping[str, Endpoint],
    find: Callable[[str], Sandbox | Problem],
    places: Mapping[str, ProgramPlace],
) -> AgentExecutor:
    """The executor called `name`: one of `lanes.agent_clis.NAMES`."""
    known = {cli.name: cli for cli in CLIS}
    return AgentExecutor(known.get(name), endpoints, find, scratch, places.get(name))


class AgentExecutor:
    """Works an order with one agent program. Without `cli` it is the one that each lane's file describes.

    `endpoints` are the servers of models by name, `find` gives the sandbox of a kind, `place` is where the
    configuration says that the program is, and `proxy` opens the door to a lane's hosts.
    """

    reads = True
    deterministic = False

    def __init__(
        self,
        cli: AgentCliAdapter | None,
        endpoints: Mapping[str, Endpoint],
        find: Callable[[str], Sandbox | Problem],
        scratch: Path,
        place: ProgramPlace | None = None,
        proxy: Callable[[tuple[str, ...], EgressLog], EgressProxy] = EgressProxy,
    ) -> None:
        self.name = NAME if cli is None else cli.name
        self._cli, self._place = cli, place
        self._endpoints, self._find = endpoints, find
        self._places, self._proxy = Workplaces(scratch), proxy

    def unavailable(self, lane: Lane) -> Problem | None:
        """Why the lane cannot run here: its program, its model's endpoint, or the sandbox."""
        try:
            cli = self._described(lane)
            self._model(lane, cli)
        except CountersignError as error:
            told = error.problem
            return Problem(Kind.UNAVAILABLE, told.code, told.message, told.mend)
        program = find_program(cli, self._place)
        if isinstance(program, Problem):
            return program
        found = self._find(lane.isolation.kind)
        return found if isinstance(found, Problem) else None

    def needs(self, lane: Lane) -> frozenset[str]:
        """A sandbox, the program, and what the lane asks for."""
        return frozenset({need_of(lane.isolation.kind), f"agent:{self.name}", *lane.needs})

    async def produce(self, order: WorkOrder, repository: Repository) -> ExecutorResult:
        """The tree that the program leaves; raises `WorkError` with its words when it comes to no good end."""
        cli = self._described(order.lane)
        endpoint, models = self._model(order.lane, cli)
        program = await asyncio.to_thread(find_program, cli, self._place)
        sandbox = await asyncio.to_thread(self._find, order.lane.isolation.kind)
        for found in (program, sandbox):
            if isinstance(found, Problem):
                raise TransientError(found.code, found.message, found.mend, retry_after_s=600)
        assert isinstance(program, AgentProgram)
        assert not isinstance(sandbox, Problem)
        git = as_git(repository)
        model = str(ModelName(endpoint.name, models[0]))
        account = await UsageAccount.open(model, order.lane.budget, order.usage)
        shift = AgentRun(order, cli, account)
        aside = await HiddenFiles.of(git, order.start)
        async with self._places.showing(git, await aside.without(git), sandbox) as place:
            heard = await self._work(shift, program, sandbox, endpoint, models, place)
            kept = self._artifacts(shift, endpoint)
            outcome = AgentOutcome(self.name, order.lane, shift.ran, heard, account, kept, cli.transcript)
            if problem := _disk_full(shift, place.directory) or outcome.problem():
                raise problem
            tree = await aside.put_back(git, await place.take(), cli.litter)
        if tree == order.start and (denied := outcome.denied()):
            raise denied
        spent = (account.total,) if account.total.calls else ()
        return ExecutorResult(tree, outcome.artifacts, Provenance(self.name, _clipped(heard.words), spent))

    def _described(self, lane: Lane) -> AgentCliAdapter:
        if self._cli is not None:
            return self._cli
        if lane.agent is None or not lane.agent.argv:
            mend = 'Add it, as in: agent: {argv: ["my-agent", "--task", "{task}"], speaks: openai}.'
            raise UsageError("no_agent", f"lane {lane.name} does not describe its program", mend)
        return described(lane.agent)

    def _model(self, lane: Lane, cli: AgentCliAdapter) -> tuple[Endpoint, tuple[str, ...]]:
        """The endpoint of the lane's first model that the program can talk to, and the lane's models there."""
        names = tuple(map(ModelName.parse, lane.models))
        if not names:
            mend = "Add one to its file, as in: models: [endpoint/name]."
            raise UsageError("no_model", f"lane {lane.name} names no model", mend)
        for name in names:
            endpoint = self._endpoints.get(name.endpoint)
            if endpoint is not None and cli.speaks in PROTOCOLS.get(endpoint.kind, ()):
                return endpoint, tuple(other.name for other in names if other.endpoint == name.endpoint)
        kinds = " or ".join(sorted(kind for kind, protocols in PROTOCOLS.items() if cli.speaks in protocols))
        message = f"lane {lane.name} does not name an endpoint that {cli.name} can talk to"
        raise UsageError("no_endpoint", message, f"Name a model of an endpoint of kind {kinds} (`models:`).")

    async def _work(
        self,
        shift: AgentRun,
        program: AgentProgram,
        sandbox: Sandbox,
        endpoint: Endpoint,
        models: tuple[str, ...],
        place: Workplace,
    ) -> AgentEvent:
        """Run the program behind its broker until it ends, or until going on is pointless; what it said."""
        order, cli, ear = shift.order, shift.cli, shift.cli.ear()
        lane, lines, output = order.lane, StreamLines(ear.line), bytearray()

        def hear(chunk: bytes) -> None:
            lines.add(chunk)
            if lane.budget.usd and (usd := ear.heard().usd) is not None:
                shift.account.report_cost(usd)
            if len(output) < lane.limits.log_bytes:
                output.extend(chunk)  # for a run that is stopped, which leaves no log

        call = cli.call(AgentPrompt(task(order), models[0], lane.budget, endpoint.context_tokens))
        async with contextlib.AsyncExitStack() as stack:
            broker = await stack.enter_async_context(EgressBroker(endpoint, models, shift.account, shift.log))
            doors = [PortForward(broker.socket, PORT)]
            if lane.isolation.hosts:
                proxy = await stack.enter_async_context(self._proxy(lane.isolation.hosts, shift.log))
                doors.append(PortForward(proxy.socket, PROXY_PORT))
            run = SandboxRun(
                _argv(program, call),
                place.directory,
                SandboxLimits.of(lane.limits),
                environment={**ways_out(lane), **call.environment},
                programs=program.shown,
                home=call.home,
                doors=tuple(doors),
                image=lane.isolation.image,
                beneath=place.beneath,
                heard=hear,
            )
            shift.ran = await self._watched(shift, sandbox, run)
        lines.end()
        shift.output = shift.ran.log if shift.ran is not None else bytes(output[: lane.limits.log_bytes])
        heard = ear.heard()
        if heard.usd is not None and shift.account.usage.calls:
            shift.account.report_cost(heard.usd)
            await shift.account.settle()
        return replace(heard, words=plain(heard.words, endpoint.key), why=plain(heard.why, endpoint.key))

    async def _watched(self, shift: AgentRun, sandbox: Sandbox, run: SandboxRun) -> SandboxResult | None:
        """The run to its end, None when its account was closed first; tells how it goes meanwhile."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        running = asyncio.create_task(sandbox.run(run))
        closing = asyncio.create_task(shift.account.closed.wait())
        reported = -1
        try:
            while not running.done() and not closing.done():
                await asyncio.wait({running, closing}, timeout=_TELL_S, return_when=asyncio.FIRST_COMPLETED)
                usage = shift.account.usage
                if usage.calls != reported:
                    reported = usage.calls
                    seconds = int(loop.time() - began)
                    progress = f"{self.name}: {usage.calls} answers, {usage.tokens:,} tokens, {seconds} s"
                    await shift.order.progress(progress)
            return running.result() if running.done() else None
        finally:
            closing.cancel()
            running.cancel()
            await asyncio.wait({running})  # until all of it is dead, also when we are cancelled
            if not running.cancelled():
                running.exception()  # retrieved, so that asyncio does not warn

    @staticmethod
    def _artifacts(shift: AgentRun, endpoint: Endpoint) -> dict[str, bytes]:
        """What is kept of a run, without secrets, and with nothing in it that a terminal would obey."""
        made = {shift.cli.transcript: shift.output, BROKER_LOG: shift.log.content()}
        return {
            name: plain(content.decode("utf-8", "surrogateescape"), endpoint.key).encode()
            for name, content in made.items()
        }


def _argv(program: AgentProgram, call: AgentCommand) -> tuple[str, ...]:
    words = (*program.words, *call.words)
    return ("/bin/sh", "-c", _THEN, call.also, *words) if call.also else words


def ways_out(lane: Lane) -> dict[str, str]:
    """The environment that leads a program to the lane's hosts, where it has any."""
    if not lane.isolation.hosts:
        return dict(lane.environment)
    proxy = f"http://127.0.0.1:{PROXY_PORT}"
    ways = {
        "HTTPS_PROXY": proxy,
        "https_proxy": proxy,
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }
    return {**dict(lane.environment), **ways}


def _disk_full(shift: AgentRun, folder: Path) -> TransientError | None:
    if shift.ran is None or shutil.disk_usage(folder).free >= _FULL_BYTES:
        return None
    mend = "Make room on the disk that holds the state folder."
    return TransientError("disk_full", "The disk is full", mend, retry_after_s=60)


def _clipped(words: str) -> str:
    words = words.strip()
    return words if len(words) <= _MOST_WORDS else words[: _MOST_WORDS - 1].rstrip() + "…"
