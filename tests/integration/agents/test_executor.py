"""The executor with a scripted sandbox: the error for each end of a run, and the checks before it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from core.model.errors import Kind, PermanentError, Problem, TransientError, UsageError
from core.model.lane import AgentCli, Limits
from core.model.model_lease import ModelPlace
from core.model.provenance import Usage
from core.ports.leases import LeaseRefusedError
from core.ports.reporting import MemoryUsage
from lanes.agent_clis import ADAPTERS, NAMES, agent_capabilities
from lanes.agent_clis.executor import AgentExecutor, create_agent_executor
from lanes.agent_clis.program import AgentProgram, ProgramPlace, find_program
from lanes.models import Endpoint
from lanes.sandbox import SandboxResult, SandboxRun
from tests.fakes.models import KEY
from tests.integration.agents.conftest import AgentRunner, known
from tests.integration.lanes import origin

pytestmark = pytest.mark.lanes
DONE = json.dumps({"type": "result", "subtype": "success", "is_error": False, "result": "Done."}).encode() + b"\n"


class Scripted:
    """A sandbox that does what it is told to the folder, says what it is told, and ends as told."""

    kind, overlay = "bwrap", None

    def __init__(self, ran: SandboxResult, does: Callable[[Path], object] = lambda _folder: None) -> None:
        self.ran, self.does, self.runs = ran, does, list[SandboxRun]()

    async def run(self, run: SandboxRun) -> SandboxResult:
        self.runs.append(run)
        self.does(run.directory)
        if run.on_output:
            run.on_output(self.ran.log)
        return self.ran


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "bin" / "claude"
    path.parent.mkdir()
    path.write_bytes(b"\x7fELF")
    path.chmod(0o755)
    return path


def runner_of(
    repo, tmp_path: Path, ran: SandboxResult, does: Callable[[Path], object] = lambda _folder: None
) -> tuple[AgentRunner, Scripted]:
    sandbox = Scripted(ran, does)
    return AgentRunner(repo, tmp_path / "scratch", lambda _kind: sandbox), sandbox


ENDPOINT = Endpoint("fake", "anthropic", "http://127.0.0.1:9", KEY)


@pytest.mark.parametrize("code", [0, 1, 137, None])
async def test_the_exit_code_decides_nothing(repo, tmp_path, program, code):
    runner, _ = runner_of(
        repo, tmp_path, SandboxResult(code, DONE, None, 1.0), lambda at: (at / "src/x.txt").write_text("x")
    )
    made = await runner.made(runner.executor("claude-code", ENDPOINT, program))
    assert await runner.changed(made.tree) == {"src/x.txt": "x"}
    assert made.provenance.words == "Done."
    lie, _ = runner_of(
        repo, tmp_path, SandboxResult(code, b"all good\n", None, 1.0), lambda at: (at / "src/x.txt").write_text("x")
    )
    assert (await lie.fails(lie.executor("claude-code", ENDPOINT, program))).problem.code == "agent_failed"


@pytest.mark.parametrize(
    ("limit", "code", "said"),
    [("wall", "timed_out", "did not finish within 90 s"), ("memory", "memory_limit", "2048 MiB"),
     ("processes", "process_limit", "256 processes"), ("disk", "disk_limit", "wrote more"),
     ("files", "disk_limit", "more files")],
)  # fmt: skip
async def test_a_bound_that_was_hit_is_named_whatever_the_program_said(repo, tmp_path, program, limit, code, said):
    runner, _ = runner_of(repo, tmp_path, SandboxResult(None, DONE, limit, 1.0))
    problem = (await runner.fails(runner.executor("claude-code", ENDPOINT, program))).problem
    assert (problem.code, said in problem.message) == (code, True)
    assert runner.artifacts["transcript.jsonl"] == DONE


async def test_last_words_are_shown_without_their_tricks(repo, tmp_path, program):
    runner, _ = runner_of(repo, tmp_path, SandboxResult(1, b"\x1b[31mboom\x1b]0;x\x07\n\xff" + KEY.encode(), None, 1.0))
    error = await runner.fails(runner.executor("claude-code", ENDPOINT, program))
    assert "\x1b" not in str(error)
    assert "boom" in str(error)
    assert KEY not in str(error)
    assert runner.artifacts["transcript.jsonl"] == b"\\u001b[31mboom\\u001b]0;x\\u0007\n\\udcff[key]"


async def test_what_the_program_is_given_is_its_own(repo, tmp_path, program, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-of-the-host")
    runner, sandbox = runner_of(repo, tmp_path, SandboxResult(0, DONE, None, 1.0))
    await runner.made(runner.executor("claude-code", ENDPOINT, program), await runner.order("--version\0 x" * 30_000))
    (run,) = sandbox.runs
    assert run.environment["ANTHROPIC_API_KEY"] == "none"
    assert KEY not in repr((run.argv, run.environment, run.home))
    assert max(len(word.encode()) for word in run.argv) < 128 * 1024
    assert "\0" not in "".join(run.argv)
    assert run.programs == (program.resolve(),)
    assert not run.forwards[0].socket.exists(), "the door is closed with the run"


async def test_the_proxy_is_there_only_for_lanes_with_hosts(repo, tmp_path, program):
    runner, sandbox = runner_of(repo, tmp_path, SandboxResult(0, DONE, None, 1.0))
    order = await runner.order()
    executor = runner.executor("claude-code", ENDPOINT, program)
    await runner.made(executor, order)
    isolation = replace(order.lane.isolation, hosts=("mirror.example",))
    await runner.made(executor, replace(order, lane=replace(order.lane, isolation=isolation)))
    without, with_hosts = sandbox.runs
    assert (len(without.forwards), "HTTPS_PROXY" in without.environment) == (1, False)
    assert (len(with_hosts.forwards), with_hosts.environment["HTTPS_PROXY"]) == (2, "http://127.0.0.1:8092")


STEERED = {
    ".env": "A=1\n",
    "a/.claude/settings.json": "{}",
    "a/b.txt": "b\n",
    ".MCP.json": "{}",
    "c/.codex/x": "1",
    "c/d": "d\n",
}


async def test_what_steers_is_kept_away_and_put_back_whatever_the_program_does(tmp_path, program):
    repo = origin.store(origin.remote(tmp_path / "o.git", STEERED), tmp_path / "state")
    seen: list[str] = []

    def does(folder: Path) -> None:
        seen.extend(sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()))
        (folder / ".env").write_text("A=evil\n")
        (folder / "c/d").unlink()
        (folder / "c").rmdir()
        (folder / "c").symlink_to("/etc")
        (folder / ".claude").mkdir()
        (folder / ".claude/left").write_text("litter")
        (folder / "new").write_text("x")

    runner, _ = runner_of(repo, tmp_path, SandboxResult(0, DONE, None, 1.0), does)
    made = await runner.made(runner.executor("claude-code", ENDPOINT, program))
    assert seen == ["a/b.txt", "c/d"]
    changed = await runner.changed(made.tree)
    assert changed == {"c": "/etc", "c/.codex/x": "", "c/d": "", "new": "x"}


async def test_what_is_not_here_is_said_with_its_mend(repo, tmp_path, program):
    runner, _ = runner_of(repo, tmp_path, SandboxResult(0, DONE, None, 1.0))
    lane = (await runner.order()).lane
    good = runner.executor("claude-code", ENDPOINT, program)
    assert good.unavailable(lane) is None
    assert good.needs(lane) == {"sandbox", "agent:claude-code"}
    missing = runner.executor("claude-code", ENDPOINT, tmp_path / "nowhere").unavailable(lane)
    assert missing is not None
    assert missing.code == "no_agent"
    assert "npm install -g @anthropic-ai/claude-code" in missing.mend
    for executor, wrong, code in (
        (good, replace(lane, models=()), "no_model"),
        (good, replace(lane, models=("other/m",)), "no_endpoint"),
        (good, replace(lane, models=("fake/",)), "no_model"),
        (runner.executor("codex", ENDPOINT, program), lane, "no_endpoint"),
    ):
        problem = executor.unavailable(wrong)
        assert problem is not None
        assert (problem.code, problem.kind, bool(problem.mend)) == (code, Kind.UNAVAILABLE, True)
    none = Problem(Kind.UNAVAILABLE, "no_sandbox", "There is none", "Install bubblewrap.")
    runner.find = lambda _kind: none
    without = runner.executor("claude-code", ENDPOINT, program)
    assert without.unavailable(lane) == none
    assert isinstance(await runner.fails(without), TransientError)


async def test_a_lane_without_a_description_of_its_program_says_so(repo, tmp_path, program):
    runner, sandbox = runner_of(repo, tmp_path, SandboxResult(0, b'{"ok": "yes"}\n', None, 1.0))
    endpoint = Endpoint("fake", "openai", "http://127.0.0.1:9")
    executor = AgentExecutor(None, {"fake": endpoint}, runner.find, runner.scratch)
    with pytest.raises(UsageError):
        await runner.made(executor)
    agent = AgentCli((str(program), "{task}", "{model}"), events="jsonl", success="ok=yes", home=((".x", "y"),))
    order = await runner.order(lane={"agent": agent})
    problem = executor.unavailable(order.lane)
    assert problem is None
    made = await runner.made(executor, order)
    assert made.provenance.executor == "agent"
    (run,) = sandbox.runs
    assert run.argv[0] == str(program.resolve())
    assert run.argv[2] == "m"
    assert run.home == {".x": b"y"}


async def test_a_refusal_to_pay_is_what_is_told(repo, tmp_path, program):
    from tests.fakes.models import always, serving, Say  # noqa: I001 - beside its only use
    import aiohttp

    class Asks(Scripted):
        """A program that asks its model once and then sits there."""

        async def run(self, run: SandboxRun) -> SandboxResult:
            async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(run.forwards[0].socket))) as session:
                body = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]}
                async with session.post(
                    "http://x/v1/messages", json=body, headers={"anthropic-version": "2023-06-01"}
                ) as got:
                    await got.read()
                await asyncio.sleep(3600)
            return self.ran

    class Refusing(MemoryUsage):
        async def report(self, call: str, usage: Usage) -> bool:
            raise PermanentError("budget_spent", "The day of lane code is spent", "Come back tomorrow.")

    sandbox = Asks(SandboxResult(0, DONE, None, 1.0))
    runner = AgentRunner(repo, tmp_path / "scratch", lambda _kind: sandbox)
    async with serving(always(Say("x"))) as models:
        endpoint = Endpoint("fake", "anthropic", models.url, KEY)
        executor = runner.executor("claude-code", endpoint, program)
        error = await runner.fails(executor, await runner.order(usage=Refusing(), lane={"limits": Limits(wall_s=50)}))
    assert error.problem.message == "The day of lane code is spent"
    assert "broker.log" in runner.artifacts


# -- where programs are ------------------------------------------------------------------------------------------------


def _file(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_a_node_program_is_shown_with_all_its_packages(tmp_path):
    node = _file(tmp_path / "node" / "bin" / "node", "\x7fELF")
    script = _file(tmp_path / "lib/node_modules/@google/gemini-cli/bundle/gemini.js", "#!/usr/bin/env -S node\n")
    link = tmp_path / "bin" / "gemini"
    link.parent.mkdir()
    link.symlink_to(script)
    found = find_program(known("gemini-cli"), None, {"gemini": str(link), "node": str(node)}.get)
    assert found == AgentProgram((str(node), str(script)), (node, tmp_path / "lib/node_modules"))


def test_a_python_program_is_shown_with_its_environment_and_the_python_behind_it(tmp_path):
    base = _file(tmp_path / "python311" / "bin" / "python3.11", "\x7fELF")
    venv = tmp_path / "venv"
    script = _file(venv / "bin" / "mini", f"#!{venv}/bin/python\n")
    (venv / "pyvenv.cfg").write_text("")
    (venv / "bin" / "python").symlink_to(base)
    found = find_program(known("mini-swe-agent"), ProgramPlace(script, (tmp_path / "more",)))
    assert found == AgentProgram((f"{venv}/bin/python", str(script)), (venv, tmp_path / "python311", tmp_path / "more"))


def test_codex_is_its_binary_not_its_launcher(tmp_path):
    modules = tmp_path / "node_modules"
    launcher = _file(modules / "@openai/codex/bin/codex.js", "#!/usr/bin/env node\n")
    binary = _file(modules / "@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl/bin/codex", "\x7fELF")
    found = find_program(known("codex"), ProgramPlace(launcher))
    assert isinstance(found, AgentProgram)
    assert found.argv == (str(binary),)


@pytest.mark.parametrize("first", ["#!\n", "#!/no/such/runner\n", "#!/usr/bin/env nosuch\n"])
def test_a_script_that_nothing_runs_is_no_program(tmp_path, first):
    found = find_program(known("aider"), ProgramPlace(_file(tmp_path / "aider", first)), lambda _name: None)
    assert isinstance(found, Problem)
    assert "aider" in found.message


def test_all_programs_are_executors_and_what_is_here_is_offered(tmp_path, program):
    missing = Problem(Kind.FAILED, "x", "x")
    made = {name: create_agent_executor(name, tmp_path, {}, lambda _kind: missing, {}) for name in NAMES}
    assert set(made) == {cli.name for cli in ADAPTERS} | {"agent"}
    assert all(executor.reads for executor in made.values())
    assert {"agent:claude-code", "agent:agent"} <= agent_capabilities({"claude-code": ProgramPlace(program)})


class RecordingLeases:
    """Grants at once, and records what was asked for; `refuses` are models that cannot be had."""

    def __init__(self, happened: list[str], refuses: tuple[str, ...] = (), place: ModelPlace | None = None) -> None:
        self.happened, self.refuses, self.place = happened, refuses, place

    @asynccontextmanager
    async def lease(self, model: str, *, keeps_slot: bool = False) -> AsyncIterator[ModelPlace | None]:
        self.happened.append(f"leased {model}")
        yield self.place

    async def reserve(self, model: str) -> ModelPlace | None:
        self.happened.append(f"reserved {model}")
        if model in self.refuses:
            raise LeaseRefusedError("model_down", f"{model} gets no work", "")
        return self.place


async def test_a_model_is_reserved_before_the_sandbox_starts_at_the_first_endpoint_that_grants_one(
    repo, tmp_path, program
):
    happened: list[str] = []
    runner, _ = runner_of(
        repo, tmp_path, SandboxResult(0, b'{"ok": "yes"}\n', None, 1.0), lambda _: happened.append("sandbox")
    )
    endpoints = {name: Endpoint(name, "openai", "http://127.0.0.1:9") for name in ("one", "two")}
    agent = AgentCli((str(program), "{task}", "{model}"), events="jsonl", success="ok=yes")

    async def run(leases: RecordingLeases, *models: str) -> None:
        happened.clear()
        order = await runner.order(lane={"agent": agent, "models": models})
        await runner.made(AgentExecutor(None, endpoints, runner.find, runner.scratch, leases=leases), order)

    await run(RecordingLeases(happened, refuses=("one/m",)), "one/m", "two/m")
    assert happened == ["reserved one/m", "reserved two/m", "sandbox"]
    await run(RecordingLeases(happened, place=ModelPlace("two", "m:latest")), "m")
    assert happened == ["reserved */m", "sandbox"]
    with pytest.raises(LeaseRefusedError):
        await run(RecordingLeases(happened, refuses=("one/m", "two/m")), "one/m", "two/m")
    assert "sandbox" not in happened
