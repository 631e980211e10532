# ruff: noqa: E501 - programs for the inside, written as densely as they are read
"""Containers as the sandbox: what is asked of the engine, by an engine of ours that takes nothing else; and podman itself."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.model.errors import PermanentError, Problem, TransientError
from lanes.sandbox import PortForward, Sandboxes, SandboxLimits, SandboxRun
from lanes.sandbox.container import LABEL, ContainerEngine, ContainerSandbox, owner_id
from lanes.sandbox.find_container_engine import find_container_engine

pytestmark = pytest.mark.lanes
QUICK = SandboxLimits(wall_s=60, memory_mib=128, processes=32, log_bytes=64_000)

ENGINE = '''#!{python}
"""An engine that knows the options it is given, refuses all others, and runs the command on the mounted folder."""
import json, os, signal, subprocess, sys
from pathlib import Path
STATE = Path({state!r})
FLAGS = {{"--read-only", "--no-healthcheck", "--systemd=false", "--init", "--http-proxy=false", "--read-only-tmpfs=false", "--no-hosts"}}
ONCE = {{"--name", "--pull", "--log-driver", "--network", "--hostname", "--ipc", "--cap-drop", "--user", "--workdir", "--memory",
        "--memory-swap", "--pids-limit", "--entrypoint", "--image-volume", "--userns", "--cpu-shares"}}
MANY = {{"--label", "--security-opt", "--ulimit", "--tmpfs", "--env", "--mount"}}
def fail(why, code=125):
    print("engine:", why, file=sys.stderr); sys.exit(code)
def parse(words):
    once, many, flags = {{}}, {{}}, set()
    while words and words[0].startswith("--"):
        word = words.pop(0)
        if word in FLAGS: flags.add(word)
        elif word in ONCE:
            if word in once: fail(f"{{word}} twice")
            once[word] = words.pop(0)
        elif word in MANY: many.setdefault(word, []).append(words.pop(0))
        else: fail(f"unknown flag: {{word}}")
    return once, many, flags, words
def run(words):
    once, many, flags, rest = parse(words)
    image, argv = rest[0], [once["--entrypoint"], *rest[1:]]
    (STATE / "asked.json").write_text(json.dumps([once, many, sorted(flags), image, argv, dict(os.environ)]))
    if image != "tools:1": fail(f"Unable to find image '{{image}}' locally")
    mounts = [dict(p.partition("=")[::2] for p in m.split(",")) for m in many["--mount"]]
    work = [m for m in mounts if m["target"] == "/work"][0]
    assert "readonly" not in work and all("readonly" in m for m in mounts if m is not work)
    env = dict(e.split("=", 1) for e in many["--env"])
    home = STATE / (once["--name"] + ".home"); home.mkdir(); env["HOME"] = str(home)
    argv = [next((m["source"] + w[len(m["target"]):] for m in mounts if w.startswith(m["target"] + "/") and m["target"] != "/work"), w) for w in argv]
    child = subprocess.Popen(argv, cwd=work["source"], env=env, start_new_session=True)
    kept = {{"Names": once["--name"], "Labels": ",".join(many["--label"]), "pid": child.pid}}
    (STATE / (once["--name"] + ".json")).write_text(json.dumps(kept))
    code = child.wait()
    kept["State"] = {{"Status": "exited", "ExitCode": code if code >= 0 else 128 - code, "OOMKilled": False}}
    if (STATE / (once["--name"] + ".json")).exists(): (STATE / (once["--name"] + ".json")).write_text(json.dumps(kept))
    sys.exit(kept["State"]["ExitCode"])
verb, *words = sys.argv[1:]
if verb == "info": print("27.0.0")
elif verb == "run": run(words)
elif verb == "ps":
    for path in STATE.glob("countersign-*.json"):
        kept = json.loads(path.read_text())
        if "--quiet" in words: print(path.stem) if f"name=^{{path.stem}}$" in words else None
        else: print(json.dumps({{"Names": kept["Names"], "Labels": kept["Labels"]}}))
elif verb == "inspect":
    print(json.dumps(json.loads((STATE / (words[-1] + ".json")).read_text()).get("State", {{"Status": "running"}})))
elif verb == "rm":
    assert "--force" in words
    path = STATE / (words[-1] + ".json")
    kept = json.loads(path.read_text())
    try: os.killpg(kept["pid"], signal.SIGKILL)
    except ProcessLookupError: pass
    path.unlink()
else: fail(f"unknown command: {{verb}}")
'''


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


@pytest.fixture
def paper(tmp_path: Path, state: Path) -> ContainerSandbox:
    """A sandbox by the engine above, called docker."""
    program = tmp_path / "docker"
    program.write_text(ENGINE.format(python=sys.executable, state=str(state)))
    program.chmod(0o755)
    return ContainerSandbox(ContainerEngine("docker", (str(program),), ("--init",)))


def run_of(work: Path, *argv: str, **more) -> SandboxRun:
    return SandboxRun(argv, work, more.pop("limits", QUICK), image=more.pop("image", "tools:1"), **more)


async def test_everything_is_closed_that_is_not_asked_for(paper, state, work, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://canary")
    monkeypatch.setenv("TOKEN", "canary")
    ran = await paper.run(run_of(work, "sh", "-c", "echo in; pwd > where; exit 7", environment={"KIND": "a b"}))
    assert (ran.exit_code, ran.log, ran.limit_hit) == (7, b"in\n", None)
    once, many, flags, image, argv, around = json.loads((state / "asked.json").read_text())
    assert once["--network"] == "none"
    assert once["--cap-drop"] == "ALL"
    assert once["--pull"] == "never"
    assert once["--log-driver"] == "none"
    assert once["--memory"] == once["--memory-swap"] == "128m"
    assert int(once["--pids-limit"]) <= 40
    assert once["--user"] == f"{os.geteuid()}:{os.getegid()}"
    given = dict(limit.split("=") for limit in many["--ulimit"])
    assert given["fsize"] == f"{QUICK.disk_mib << 20}:{QUICK.disk_mib << 20}"
    assert int(given["cpu"].partition(":")[0]) >= QUICK.wall_s
    assert {"no-new-privileges", "label=disable"} == set(many["--security-opt"])
    assert {"--read-only", "--no-healthcheck"} <= set(flags)
    assert int(once["--cpu-shares"]) < 1024, "less than what engines give a container that asks for nothing"
    assert not {"--privileged", "--tty", "--interactive", "--device", "--volume"} & {*once, *many, *flags}
    assert {t.partition(":")[0] for t in many["--tmpfs"]} == {"/tmp", "/home/lane"}
    assert all("nosuid,nodev" in t and "size=" in t for t in many["--tmpfs"])
    assert [m for m in many["--mount"] if "readonly" not in m] == [f"type=bind,source={work},target=/work"]
    assert {e.partition("=")[0] for e in many["--env"]} == {"PATH", "HOME", "USER", "TMPDIR", "LANG", "LC_ALL", "KIND"}
    assert (image, argv) == ("tools:1", ["sh", "-c", "echo in; pwd > where; exit 7"])
    assert "canary" not in json.dumps([many, around])
    assert (work / "where").exists()
    assert list(state.glob("*.json")) == [state / "asked.json"]


@pytest.mark.skipif(shutil.which("docker") is None, reason="needs the program docker (Debian package docker.io)")
async def test_the_real_docker_knows_every_option(paper, state, work):
    await paper.run(run_of(work, "true"))
    once, many, flags, *_ = json.loads((state / "asked.json").read_text())
    known = subprocess.run(["docker", "run", "--help"], capture_output=True, text=True, check=True).stdout  # noqa: ASYNC221 - at once
    missing = [
        option for option in (*once, *many, *flags) if f" {option} " not in known and f" {option}\n" not in known
    ]
    assert missing == []


async def test_a_forward_and_a_home_are_mounted_read_only(paper, state, work, tmp_path):
    ours = tmp_path / "ours"
    ours.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(ours / "d.sock"))
        run = run_of(work, "true", home={".tool": b"x"}, forwards=(PortForward(ours / "d.sock", 8099),))
        made = paper.engine.options(run, "name", 1000, ((ours / "d.sock", "/run/countersign/0.sock"),))
    assert f"type=bind,source={ours}/d.sock,target=/run/countersign/0.sock,readonly" in made


async def test_out_of_time_the_container_is_removed_with_all_in_it(paper, state, work):
    code = "import os, time\nos.fork()\nwhile True: open('alive', 'w').write(str(time.time())); time.sleep(.01)"
    ran = await paper.run(run_of(work, sys.executable, "-c", code, limits=replace(QUICK, wall_s=3)))
    assert (ran.limit_hit, ran.exit_code) == ("wall", None)
    await assert_gone(state, work)


async def test_cancelled_the_container_is_removed(paper, state, work):
    code = "import time\nwhile True: open('alive', 'w').write(str(time.time())); time.sleep(.01)"
    task = asyncio.create_task(paper.run(run_of(work, sys.executable, "-c", code)))
    while not (work / "alive").exists():  # noqa: ASYNC110 - a file has no event
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await assert_gone(state, work)


async def test_what_a_killed_worker_left_is_removed_by_the_next_run(paper, state, work):
    host = socket.gethostname()
    for name, label in (
        ("dead", f"{host}/999999999/1"),
        ("ours", owner_id()),
        ("elsewhere", "other/1/1"),
        ("reused", f"{host}/{os.getpid()}/1"),
    ):
        left = {"Names": f"countersign-{name}", "Labels": f"a=b,{LABEL}={label}", "pid": 999999999}
        (state / f"countersign-{name}.json").write_text(json.dumps(left))
    await paper.remove_abandoned()
    assert sorted(p.stem for p in state.glob("countersign-*.json")) == ["countersign-elsewhere", "countersign-ours"]


async def test_an_image_that_is_not_there_is_told_with_the_engines_word(paper, work):
    with pytest.raises(TransientError, match="Unable to find image 'nothing' locally"):
        await paper.run(run_of(work, "true", image="nothing"))
    with pytest.raises(PermanentError, match="names no image"):
        await paper.run(run_of(work, "true", image=""))


async def test_a_path_that_could_be_read_as_another_option_is_refused(paper, work, tmp_path):
    odd = tmp_path / "a,readonly=false"
    odd.mkdir()
    with pytest.raises(PermanentError, match="cannot mount"):
        await paper.run(run_of(work, "true", programs=(odd,)))


async def test_output_is_accepted_and_a_listener_that_fails_ends_the_run(paper, state, work):
    heard: list[bytes] = []
    await paper.run(run_of(work, "echo", "one", on_output=heard.append))
    assert b"".join(heard) == b"one\n"

    def listen(chunk: bytes) -> None:
        raise ValueError(chunk)

    with pytest.raises(ValueError, match="one"):
        await paper.run(run_of(work, "sh", "-c", "echo one; sleep 600", on_output=listen))
    await assert_gone(state, work, lived=False)


def test_an_engine_that_does_not_answer_is_a_refusal_with_its_word(tmp_path, monkeypatch):
    broken = tmp_path / "docker"
    broken.write_text("#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    problem = find_container_engine("docker")
    assert isinstance(problem, Problem)
    assert "Cannot connect" in problem.message
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    for kind in ("docker", "podman"):
        problem = find_container_engine(kind)
        assert isinstance(problem, Problem)
        assert f"{kind} is not installed" in problem.message
        assert "apt install" in problem.mend


def test_each_kind_is_looked_for_once_and_an_unknown_one_is_told(monkeypatch):
    asked: list[str] = []

    def look() -> ContainerSandbox | Problem:
        asked.append("docker")
        return find_container_engine("docker")

    boxes = Sandboxes({"docker": look})
    monkeypatch.setenv("PATH", "/nowhere")
    assert boxes.get("docker") is boxes.get("docker")
    assert asked == ["docker"]
    unknown = boxes.get("chroot")
    assert isinstance(unknown, Problem)
    assert "'chroot'" in unknown.message
    assert Sandboxes().kinds() == ("bwrap", "podman", "docker", "landlock")


# -- podman itself -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def podman() -> ContainerSandbox:
    found = find_container_engine("podman")
    if isinstance(found, Problem):
        told = f"needs the Debian packages podman, runc and catatonit: {found.message}"
        if os.environ.get("CI") == "true" and shutil.which("podman") is None:
            pytest.fail(told)
        pytest.skip(told)
    return found


@pytest.fixture(scope="module")
def root() -> Iterator[str]:
    """An unpacked root with the host's programs, as an image would have them."""
    with tempfile.TemporaryDirectory(prefix="countersign-root-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for below in ("etc", "proc", "sys", "dev", "tmp", "run", "work", "home", "usr"):
            (folder / below).mkdir()
        (folder / "tmp").chmod(0o1777)
        for link in ("bin", "sbin", "lib", "lib64"):
            (folder / link).symlink_to(f"usr/{link}")
        yield name


@pytest.fixture
def real(podman, monkeypatch) -> ContainerSandbox:
    """The host's programs are bound into that root, because no image can be fetched for a test."""
    usr = "type=bind,source=/usr,target=/usr,readonly"
    return ContainerSandbox(replace(podman.engine, run_options=(*podman.engine.run_options, "--mount", usr)))


async def inside(real, root, work, code: str, **more):
    return await real.run(run_of(work, "python3", "-c", textwrap.dedent(code), image=root, **more))


async def test_podman_runs_it_on_its_folder_and_nothing_else_is_there(real, root, work):
    ran = await inside(
        real, root, work,
        """
        import json, os, socket
        status = dict(l.split(':', 1) for l in open('/proc/self/status') if ':' in l)
        said = [os.getuid() > 999, int(status['CapEff'], 16), status['NoNewPrivs'].strip(), os.getcwd()]
        said.append([l.split(':')[0].strip() for l in open('/proc/net/dev').read().splitlines()[2:]])
        for path in ('/etc/x', '/x', '/usr/x', '/run/x'):
            try: open(path, 'w'); said.append(path)
            except OSError: pass
        open('/work/new', 'w').write('out'); open('/tmp/x', 'w'); open(os.path.expanduser('~/x'), 'w')
        print(json.dumps(said)); raise SystemExit(125)
        """,
    )  # fmt: skip
    assert ran.exit_code == 125, ran
    assert json.loads(ran.log) == [True, 0, "1", "/work", ["lo"]]
    assert (work / "new").read_text() == "out"
    assert not stat.S_IMODE((work / "new").stat().st_mode) & 0o6000


async def test_podman_has_the_same_forwards_and_the_same_home(real, root, work, tmp_path):
    ours = tmp_path / "ours"
    ours.mkdir(mode=0o700)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline())[::-1])
        writer.close()

    async with await asyncio.start_unix_server(serve, path=ours / "d.sock"):
        ran = await inside(
            real, root, work,
            "import os, socket; s = socket.create_connection(('127.0.0.1', 8099)); s.send(b'olleh\\n'); print(s.recv(9), open(os.path.expanduser('~/.tool')).read())",
            forwards=(PortForward(ours / "d.sock", 8099),), home={".tool": b"mine"},
        )  # fmt: skip
    assert ran.log == b"b'\\nhello' mine\n", ran


DAEMON = """
import os, signal, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for n in range(1, 32):
            if n not in (9, 19): signal.signal(n, signal.SIG_IGN)
        while True: open('alive', 'w').write(str(time.time())); time.sleep(.01)
    os._exit(0)
while not os.path.exists('alive'): time.sleep(.01)
"""


async def test_podman_kills_all_of_it_when_time_is_out_when_it_is_done_and_when_cancelled(real, root, work):
    code = "import os, time\n\nif os.fork() == 0: os.setsid()\nwhile True: open('alive', 'w').write(str(time.time())); time.sleep(.01)"
    ran = await inside(real, root, work, code, limits=replace(QUICK, wall_s=3))
    assert ran.limit_hit == "wall"
    await assert_still(work / "alive")
    (work / "alive").unlink()
    daemon = await inside(real, root, work, DAEMON)
    assert daemon.exit_code == 0, daemon
    await assert_still(work / "alive")
    (work / "alive").unlink()
    task = asyncio.create_task(inside(real, root, work, code))
    while not (work / "alive").exists():
        assert not task.done()
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await assert_still(work / "alive")


async def test_podman_bounds_memory_and_processes(real, root, work):
    ran = await inside(real, root, work, "x = bytearray(10 ** 9)")
    assert ran.exit_code in (137, 1) or ran.limit_hit == "memory"
    code = "import os, time\nn = 0\ntry:\n  while n < 500:\n    n += 1\n    if os.fork() == 0: time.sleep(60)\nexcept OSError: print(n < 64)"
    assert (await inside(real, root, work, code)).log == b"True\n"


async def test_what_a_killed_worker_left_in_podman_is_removed(real, root, work):
    code = f"""
import asyncio, pathlib
from lanes.sandbox import SandboxRun
from lanes.sandbox.container import ContainerEngine, ContainerSandbox
argv = ("python3", "-c", "import time\\nwhile 1: open('alive','w').write(str(time.time())); time.sleep(.01)")
asyncio.run(ContainerSandbox({real.engine!r}).run(SandboxRun(argv, pathlib.Path({str(work)!r}), image={root!r})))
"""
    worker = await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=Path(__file__).parents[3])
    while not (work / "alive").exists():
        assert worker.returncode is None
        await asyncio.sleep(0.02)
    worker.kill()
    await worker.wait()
    await real.remove_abandoned()
    await assert_still(work / "alive")


async def assert_gone(state: Path, work: Path, *, lived: bool = True) -> None:
    assert list(state.glob("countersign-*.json")) == []
    if lived:
        await assert_still(work / "alive")


async def assert_still(file: Path) -> None:
    last = file.read_text()
    await asyncio.sleep(0.3)
    assert file.read_text() == last
