# ruff: noqa: E501 - programs for the inside, written as densely as they are read
"""Programs that try to get out of the sandbox: at files, processes, sockets, the kernel and the socket itself.

Each probe has a name of its own; see `escape_probes` for their programs, and `escapes` for what they find
on the host and for how each is judged.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import pytest

from lanes.sandbox import find_bwrap
from lanes.sandbox.bwrap import Bwrap, BwrapSandbox
from lanes.sandbox.find_bwrap import known_options
from lanes.sandbox.overlay import find_overlay_argv
from tests.integration.lanes.conftest import USER, AsOrdinaryUser, as_user, given_to_user
from tests.integration.lanes.conftest import _missing as missing
from tests.integration.lanes.escape_probes import ALONE, LAYERS, PROBES
from tests.integration.lanes.escapes import CAMPAIGN, Campaign, World, campaign, lay_beneath, probe, world

pytestmark = [pytest.mark.lanes, pytest.mark.sandbox]


def _modes() -> dict[str, frozenset[str]]:
    """Each way to run a probe, and how it is told apart from the plain one."""
    ways = {"as found": frozenset(), "layered": frozenset({"layered"})}
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    users = {"as an ordinary user": frozenset({"user"}), "as an ordinary user, layered": frozenset({"user", "layered"})}
    return {**ways, **users} if root else ways


MODES = _modes()


@contextmanager
def host_for(sandbox) -> Iterator[World]:
    """A host with a home and an environment that hold the canary."""
    with tempfile.TemporaryDirectory(prefix="countersign-host-") as name, pytest.MonkeyPatch.context() as patch:
        folder, ours = Path(name), Path(name) / "ours"
        folder.chmod(0o755)
        ours.mkdir(mode=0o700)
        given_to_user(sandbox, folder, ours)
        with world(folder, ours / "door.sock") as made:
            (folder / ".ssh").mkdir()
            (folder / ".ssh" / "id_ed25519").write_text(made.canary)
            patch.setenv("HOME", name)
            patch.setenv("COUNTERSIGN_CANARY", made.canary)
            patch.setenv("SSH_AUTH_SOCK", str(made.state / "host.sock"))
            yield made


@pytest.fixture
def host(sandbox) -> Iterator[World]:
    with host_for(sandbox) as made:
        yield made


async def _ordinary(found: BwrapSandbox) -> AsOrdinaryUser:
    words = await as_user(find_overlay_argv)
    options = known_options(found.bwrap.program)
    return AsOrdinaryUser(
        Bwrap(found.bwrap.program, options, syscall_filter=found.bwrap.syscall_filter, overlay_argv=words)
    )


@contextmanager
def place_for(sandbox, *, layered: bool) -> Iterator[tuple[Path, Path | None]]:
    """A work folder, and what lies beneath it."""
    with tempfile.TemporaryDirectory(prefix="countersign-test-") as name:
        folder, work, beneath = Path(name), Path(name) / "own" / "files", Path(name) / "beneath"
        folder.chmod(0o755)
        work.mkdir(parents=True)
        beneath.mkdir()
        given_to_user(sandbox, work.parent, work)
        if layered:
            root = sandbox.bwrap.setpriv is not None
            owner = sandbox.bwrap.first_uid if root else USER if os.geteuid() == 0 else os.geteuid()
            lay_beneath(beneath, owner)
        yield work, beneath if layered else None


@functools.cache
def sandbox_of(mode: str) -> BwrapSandbox | AsOrdinaryUser:
    """The sandbox of this mode; skips where there is none."""
    sandbox = find_bwrap()
    if not isinstance(sandbox, BwrapSandbox):
        missing(sandbox.message)
        raise AssertionError
    made = asyncio.run(_ordinary(sandbox)) if "user" in MODES[mode] else sandbox
    if "layered" in MODES[mode] and not made.bwrap.overlay_argv:
        pytest.skip("overlayfs cannot be mounted here (needs util-linux, and Linux 5.11 without root)")
    return made


@functools.cache
def told_of(mode: str) -> Campaign:
    """What came of all probes in one sandbox of this mode; asked once."""
    sandbox, layered = sandbox_of(mode), "layered" in MODES[mode]
    probes = {name: code for name, code in probes_of(mode).items() if name not in ALONE}
    with host_for(sandbox) as host, place_for(sandbox, layered=layered) as (work, beneath):
        return asyncio.run(campaign(sandbox, host, work, probes, beneath))


def probes_of(mode: str) -> dict[str, str]:
    return {**PROBES, **LAYERS} if "layered" in MODES[mode] else PROBES


def _together(mode: str, *words: str) -> object:
    """A parameter that one worker runs with all others of its mode, for they share one sandbox."""
    return pytest.param(mode, *words, marks=pytest.mark.xdist_group(f"escape {mode}"))


EVERY = [_together(mode, name) for mode in MODES for name in probes_of(mode) if name not in ALONE]


@pytest.mark.parametrize(("mode", "name"), EVERY)
def test_nothing_gets_out(mode, name):
    told_of(mode).assert_held(name)


@pytest.mark.parametrize("mode", [_together(mode) for mode in MODES])
def test_after_all_probes_the_host_is_as_it_was(mode):
    told = told_of(mode)
    assert told.found == []
    assert (told.ran.exit_code, told.ran.limit_hit) == (0, None), told.ran.log[-3000:]


@pytest.mark.parametrize("name", sorted(ALONE))
async def test_what_ends_all_inside_gets_nothing_out(sandbox, work, host, name):
    ran = await probe(sandbox, host, work, PROBES[name])
    assert ran.log.endswith(b"END\n"), ran.log[-3000:]
    assert ran.limit_hit is None


async def test_another_host_asked_for_at_the_forward_is_a_word_to_the_broker(sandbox, work, host):
    """A proxy's request, as a program sends it that was told of a proxy: it comes to the one endpoint, as it is."""
    code = (
        "reaches(socket.AF_INET, socket.SOCK_STREAM, ('127.0.0.1', @DOOR@), b'CONNECT 169.254.169.254:80 HTTP/1.1\\n')"
    )
    await probe(sandbox, host, work, code)
    assert host.came == [b"CONNECT 169.254.169.254:80 HTTP/1.1\n"]


async def test_names_in_the_tree_are_not_taken_for_the_relays(sandbox, work, host):
    """A tree full of programs and modules by the names of what is started before the command."""
    evil = "#!/bin/sh\necho OUT: ran $0 >&2\n"
    for name in ("sh", "cp", "python3", "setpriv", "env", "bwrap"):
        (work / name).write_text(evil)
        (work / name).chmod(0o755)
        given_to_user(sandbox, work / name)
    for name in ("_socket", "select", "os", "sitecustomize", "usercustomize", "_signal", "encodings", "__future__"):
        (work / f"{name}.py").write_text("print('OUT: imported', __name__, flush=True)\n")
        given_to_user(sandbox, work / f"{name}.py")
    tricks = {"PATH": "/work", "PYTHONPATH": "/work", "PYTHONHOME": "/work", "PYTHONSTARTUP": "/work/os.py", "ENV": "/work/sh",
              "BASH_ENV": "/work/sh", "IFS": "/", "PYTHONINSPECT": "1", "LD_LIBRARY_PATH": "/work"}  # fmt: skip
    ran = await probe(sandbox, host, work, "", argv=("/usr/bin/printf", "END"), environment=tricks)
    assert ran.log == b"END"


async def test_a_preload_in_the_tree_is_loaded_by_nobody(sandbox, work, host):
    code = "os.path.exists('/etc/ld.so.preload') and out('there')\nprint([l for l in open('/proc/self/maps') if '/work' in l])"
    (work / "libc.so.6").write_bytes(b"\x7fELF not really")
    ran = await probe(sandbox, host, work, code)
    assert ran.log.endswith(b"[]\nEND\n")


OPEN = ("--perms", "0755", "--dir")
LEAKS = {
    "host-loopback": lambda words, _: [w for w in words if w not in ("--unshare-net", "--unshare-all")],
    "abstract-sockets": lambda words, _: [w for w in words if w not in ("--unshare-net", "--unshare-all")],
    "host-processes": lambda words, _: [*words, "--ro-bind", "/proc", "/proc"],
    "our-state": lambda words, host: [*words, *OPEN, str(host.state.parent), "--ro-bind", *2 * [str(host.state)]],
    "everything-readable": lambda words, host: [*words, "--ro-bind", str(host.state), "/home/lane/bound"],
    "sockets-by-path": lambda words, host: [*words, *OPEN, str(host.state.parent), "--bind", *2 * [str(host.state)]],
    "shared-memory-of-the-host": lambda words, _: [w for w in words if w not in ("--unshare-ipc", "--unshare-all")],
    "sys": lambda words, _: ["--ro-bind", "/sys", "/sys", *words],
}


@pytest.mark.xdist_group("the network of the host")  # where two relays would want one port
@pytest.mark.parametrize("name", LEAKS)
async def test_a_sandbox_with_a_hole_is_found_out(sandbox, found, tmp_path, host, name):
    """The probes have teeth: what they look for is there to be found when one wall is missing."""
    if found.bwrap.setpriv is None or isinstance(sandbox, AsOrdinaryUser):
        pytest.skip("only root's bwrap takes its walls one by one")

    class Leaky(Bwrap):
        def options(self, *words, **named):
            return LEAKS[name](super().options(*words, **named), host)

    told = {f.name: getattr(found.bwrap, f.name) for f in fields(Bwrap)}
    said: list[bytes] = []
    try:
        said.append((await probe(BwrapSandbox(Leaky(**told)), host, tmp_path, PROBES[name])).log)
    except AssertionError:
        return
    pytest.fail(f"nothing was found: {said[0][-2000:]!r}")


BARE = 'cd "$1" && under=${2#lowerdir=} && mount --bind "${under%%,*}" merged && shift 2 && exec /usr/bin/env -i "$@"'


async def test_a_layer_with_a_hole_is_found_out(found):
    """The probes of layers have teeth: here the kept files themselves are mounted, and nothing above them."""
    if found.bwrap.setpriv is None or not found.bwrap.overlay_argv:
        pytest.skip("only root binds folders where another would lay a layer")
    words = [BARE if word.startswith("cd ") else word for word in found.bwrap.overlay_argv]
    told = {f.name: getattr(found.bwrap, f.name) for f in fields(Bwrap)}
    sandbox = BwrapSandbox(Bwrap(**{**told, "overlay_argv": tuple(words)}))
    name = "what-lies-beneath-is-changed-in-every-way"
    with host_for(sandbox) as host, place_for(sandbox, layered=True) as (work, beneath):
        assert beneath is not None
        (beneath / "probe.py").write_text(host.program(CAMPAIGN))
        (beneath / "probes.json").write_text(json.dumps({name: LAYERS[name]}))
        said = await campaign(sandbox, host, work, {name: LAYERS[name]}, beneath)
    assert any("changed beneath" in word for word in said.found)
