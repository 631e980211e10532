"""The executor that runs an agent program in the sandbox and imports the files it leaves."""

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
from core.ports.executor import ExecutorResult, WorkOrder
from core.ports.leases import ModelLeases
from core.ports.repository import Repository
from lanes.agent_clis import ADAPTERS
from lanes.agent_clis.adapter import (
    FILE_MARK,
    MODEL_PORT,
    PROXY_PORT,
    AgentCliAdapter,
    AgentCommand,
    AgentPrompt,
    AgentReport,
)
from lanes.agent_clis.generic import NAME, described_adapter
from lanes.agent_clis.hidden_files import HiddenFiles
from lanes.agent_clis.model_choice import reserve_model, usable_endpoints
from lanes.agent_clis.outcome import AgentOutcome
from lanes.agent_clis.program import AgentProgram, ProgramPlace, find_program
from lanes.agent_clis.prompts import prompt_text
from lanes.agent_clis.stream_lines import StreamLines, sanitize
from lanes.egress import EgressBroker, EgressLog, EgressProxy, UsageAccount
from lanes.executors.workplace import Workplace, Workplaces
from lanes.models import Endpoint, ModelName
from lanes.repository import as_git
from lanes.sandbox import PortForward, Sandbox, SandboxLimits, SandboxResult, SandboxRun, sandbox_capability

BROKER_LOG: Final = "broker.log"
_PROGRESS_S: Final = 2.0
_MAX_MESSAGE_CHARS: Final = 500
_MIN_FREE_BYTES: Final = 16 * 1024 * 1024
# Runs the program and prints a file of its home after a mark; the shell never parses the program's arguments.
_RUN_AND_PRINT_FILE: Final = f'"$@"; code=$?; printf "\\n%s\\n" "{FILE_MARK.decode()}"; cat "$0"; exit $code'


@dataclass(slots=True)
class AgentRun:
    """The state of one run."""

    order: WorkOrder
    adapter: AgentCliAdapter
    account: UsageAccount
    log: EgressLog = field(default_factory=EgressLog)
    result: SandboxResult | None = None
    output: bytes = b""


def create_agent_executor(
    name: str,
    scratch: Path,
    endpoints: Mapping[str, Endpoint],
    find_sandbox: Callable[[str], Sandbox | Problem],
    program_places: Mapping[str, ProgramPlace],
    leases: ModelLeases | None = None,
) -> AgentExecutor:
    """The executor called `name`, one of `lanes.agent_clis.NAMES`."""
    adapters = {adapter.name: adapter for adapter in ADAPTERS}
    place = program_places.get(name)
    return AgentExecutor(adapters.get(name), endpoints, find_sandbox, scratch, place, leases=leases)


class AgentExecutor:
    """Makes changes with one agent program.

    Args:
        cli: The program's adapter; None for the program that each lane's file describes.
        endpoints: The model endpoints by name.
        find: Returns the sandbox of a kind.
        scratch: The folder for work folders.
        place: Where the configuration says that the program is.
        proxy: Creates the proxy to a lane's hosts.
        leases: Grants the models; None if they may be asked at once.
    """

    reads = True
    deterministic = False

    def __init__(
        self,
        adapter: AgentCliAdapter | None,
        endpoints: Mapping[str, Endpoint],
        find_sandbox: Callable[[str], Sandbox | Problem],
        scratch: Path,
        program_place: ProgramPlace | None = None,
        new_proxy: Callable[[tuple[str, ...], EgressLog], EgressProxy] = EgressProxy,
        leases: ModelLeases | None = None,
    ) -> None:
        self.name = NAME if adapter is None else adapter.name
        self._adapter, self._program_place = adapter, program_place
        self._endpoints, self._find_sandbox = endpoints, find_sandbox
        self._workplaces, self._new_proxy, self._leases = Workplaces(scratch), new_proxy, leases

    def unavailable(self, lane: Lane) -> Problem | None:
        """Why the lane cannot run on this node: its program, its model's endpoint, or the sandbox; None when it can."""
        try:
            adapter = self._adapter_of(lane)
            usable_endpoints(self._endpoints, lane, adapter)
        except CountersignError as error:
            problem = error.problem
            return Problem(Kind.UNAVAILABLE, problem.code, problem.message, problem.mend)
        program = find_program(adapter, self._program_place)
        if isinstance(program, Problem):
            return program
        sandbox = self._find_sandbox(lane.isolation.kind)
        return sandbox if isinstance(sandbox, Problem) else None

    def needs(self, lane: Lane) -> frozenset[str]:
        """The capabilities of the sandbox and the program, and what the lane requires."""
        return frozenset({sandbox_capability(lane.isolation.kind), f"agent:{self.name}", *lane.needs})

    async def produce(self, order: WorkOrder, repository: Repository) -> ExecutorResult:
        """The tree that the program leaves; raises `WorkError` with its output when it fails."""
        adapter = self._adapter_of(order.lane)
        options = usable_endpoints(self._endpoints, order.lane, adapter)
        program = await asyncio.to_thread(find_program, adapter, self._program_place)
        sandbox = await asyncio.to_thread(self._find_sandbox, order.lane.isolation.kind)
        for needed in (program, sandbox):
            if isinstance(needed, Problem):
                raise TransientError(needed.code, needed.message, needed.mend, retry_after_s=600)
        assert isinstance(program, AgentProgram)
        assert not isinstance(sandbox, Problem)
        git = as_git(repository)
        endpoint, models = await reserve_model(self._leases, order.lane, options)
        model = str(ModelName(endpoint.name, models[0]))
        account = await UsageAccount.open(model, order.lane.budget, order.usage)
        agent_run = AgentRun(order, adapter, account)
        hidden = await HiddenFiles.find(git, order.start)
        async with self._workplaces.open(git, await hidden.hide(git), sandbox) as workplace:
            report = await self._run_program(agent_run, program, sandbox, endpoint, models, workplace)
            artifacts = self._artifacts(agent_run, endpoint)
            outcome = AgentOutcome(
                self.name, order.lane, agent_run.result, report, account, artifacts, adapter.transcript_name
            )
            if problem := _disk_full_error(agent_run, workplace.directory) or outcome.error():
                raise problem
            tree = await hidden.restore(git, await workplace.import_result(), adapter.leftovers)
        if tree == order.start and (denied := outcome.denied_error()):
            raise denied
        spent = (account.total,) if account.total.calls else ()
        return ExecutorResult(tree, outcome.artifacts, Provenance(self.name, _clip(report.last_message), spent))

    def _adapter_of(self, lane: Lane) -> AgentCliAdapter:
        if self._adapter is not None:
            return self._adapter
        if lane.agent is None or not lane.agent.argv:
            mend = 'Add it, as in: agent: {argv: ["my-agent", "--task", "{task}"], speaks: openai}.'
            raise UsageError("no_agent", f"The lane {lane.name} does not describe its program", mend)
        return described_adapter(lane.agent)

    async def _run_program(
        self,
        agent_run: AgentRun,
        program: AgentProgram,
        sandbox: Sandbox,
        endpoint: Endpoint,
        models: tuple[str, ...],
        workplace: Workplace,
    ) -> AgentReport:
        """Run the program behind its broker until it ends or the account closes; returns what it reported."""
        order, adapter, parser = agent_run.order, agent_run.adapter, agent_run.adapter.new_parser()
        lane, lines, output = order.lane, StreamLines(parser.feed), bytearray()

        def on_output(chunk: bytes) -> None:
            lines.add(chunk)
            order.output.add(adapter.transcript_name, chunk, endpoint.key or "")
            if lane.budget.usd and (usd := parser.report().cost_usd) is not None:
                agent_run.account.report_cost(usd)
            if len(output) < lane.limits.log_bytes:
                output.extend(chunk)  # a run that is stopped returns no log

        command = adapter.build_command(
            AgentPrompt(prompt_text(order), models[0], lane.budget, endpoint.context_tokens)
        )
        async with contextlib.AsyncExitStack() as stack:
            run = SandboxRun(
                _argv(program, command),
                workplace.directory,
                SandboxLimits.from_lane_limits(lane.limits),
                environment={**agent_environment(lane), **command.environment},
                programs=program.mounts,
                home=command.home,
                forwards=await self._forwards(stack, agent_run, endpoint, models),
                image=lane.isolation.image,
                lower=workplace.lower,
                on_output=on_output,
            )
            agent_run.result = await self._run_until_closed(agent_run, sandbox, run)
        lines.end()
        agent_run.output = (
            agent_run.result.log if agent_run.result is not None else bytes(output[: lane.limits.log_bytes])
        )
        report = parser.report()
        if report.cost_usd is not None and agent_run.account.usage.calls:
            agent_run.account.report_cost(report.cost_usd)
            await agent_run.account.settle()
        return replace(
            report, last_message=sanitize(report.last_message, endpoint.key), error=sanitize(report.error, endpoint.key)
        )

    async def _forwards(
        self, stack: contextlib.AsyncExitStack, agent_run: AgentRun, endpoint: Endpoint, models: tuple[str, ...]
    ) -> tuple[PortForward, ...]:
        """Open the program's ways out for as long as `stack` is open: to its models, and to the hosts of its lane."""
        lane = agent_run.order.lane
        broker = EgressBroker(endpoint, models, agent_run.account, agent_run.log, self._leases)
        await stack.enter_async_context(broker)
        forwards = [PortForward(broker.socket, MODEL_PORT)]
        if lane.isolation.hosts:
            proxy = await stack.enter_async_context(self._new_proxy(lane.isolation.hosts, agent_run.log))
            forwards.append(PortForward(proxy.socket, PROXY_PORT))
        return tuple(forwards)

    async def _run_until_closed(self, agent_run: AgentRun, sandbox: Sandbox, run: SandboxRun) -> SandboxResult | None:
        """The run's result, None when its account closed first; reports progress meanwhile."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        running = asyncio.create_task(sandbox.run(run))
        closing = asyncio.create_task(agent_run.account.closed.wait())
        reported_calls = -1
        try:
            while not running.done() and not closing.done():
                await asyncio.wait({running, closing}, timeout=_PROGRESS_S, return_when=asyncio.FIRST_COMPLETED)
                usage = agent_run.account.usage
                if usage.calls != reported_calls:
                    reported_calls = usage.calls
                    seconds = int(loop.time() - started)
                    await agent_run.order.progress(
                        f"{self.name}: {reported_calls} answers, {usage.tokens:,} tokens, {seconds} s"
                    )
            return running.result() if running.done() else None
        finally:
            closing.cancel()
            running.cancel()
            await asyncio.wait({running})  # until all of its processes are dead, on cancellation too
            if not running.cancelled():
                running.exception()  # retrieve it so that asyncio does not warn

    @staticmethod
    def _artifacts(agent_run: AgentRun, endpoint: Endpoint) -> dict[str, bytes]:
        """The transcript and the broker's log, without secrets and control characters."""
        artifacts = {agent_run.adapter.transcript_name: agent_run.output, BROKER_LOG: agent_run.log.content()}
        return {
            name: sanitize(content.decode("utf-8", "surrogateescape"), endpoint.key).encode()
            for name, content in artifacts.items()
        }


def _argv(program: AgentProgram, command: AgentCommand) -> tuple[str, ...]:
    argv = (*program.argv, *command.args)
    return ("/bin/sh", "-c", _RUN_AND_PRINT_FILE, command.printed_file, *argv) if command.printed_file else argv


def agent_environment(lane: Lane) -> dict[str, str]:
    """The lane's environment, with the proxy variables when the lane allows hosts."""
    if not lane.isolation.hosts:
        return dict(lane.environment)
    proxy = f"http://127.0.0.1:{PROXY_PORT}"
    proxy_variables = {
        "HTTPS_PROXY": proxy,
        "https_proxy": proxy,
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }
    return {**dict(lane.environment), **proxy_variables}


def _disk_full_error(agent_run: AgentRun, folder: Path) -> TransientError | None:
    if agent_run.result is None or shutil.disk_usage(folder).free >= _MIN_FREE_BYTES:
        return None
    mend = "Free space on the disk that holds the state folder."
    return TransientError("disk_full", "The disk is full", mend, retry_after_s=60)


def _clip(message: str) -> str:
    message = message.strip()
    return message if len(message) <= _MAX_MESSAGE_CHARS else message[: _MAX_MESSAGE_CHARS - 1].rstrip() + "…"
