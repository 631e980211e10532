# ruff: noqa: E501 - programs for the inside, written as densely as they are read
"""Programs that try to get out of the sandbox: at files, processes, sockets, the kernel and the door itself.

Each probe has a name of its own; see `escape_probes` for their programs, and `escapes` for what they find
on the host and for how each is judged.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from lanes.sandbox.bwrap import Bwrap, BwrapSandbox
from tests.integration.lanes.conftest import AsOrdinaryUser, given_to_user
from tests.integration.lanes.escape_probes import PROBES
from tests.integration.lanes.escapes import World, probe, world

pytestmark = [pytest.mark.lanes, pytest.mark.sandbox]


@pytest.fixture
def host(sandbox, tmp_path_factory, monkeypatch) -> Iterator[World]:
    with tempfile.TemporaryDirectory(prefix="countersign-host-") as name:
        folder, ours = Path(name), Path(name) / "ours"
        folder.chmod(0o755)
        ours.mkdir(mode=0o700)
        given_to_user(sandbox, folder, ours)
        with world(folder, ours / "door.sock") as made:
            (folder / ".ssh").mkdir()
            (folder / ".ssh" / "id_ed25519").write_text(made.canary)
            monkeypatch.setenv("HOME", name)
            monkeypatch.setenv("COUNTERSIGN_CANARY", made.canary)
            monkeypatch.setenv("SSH_AUTH_SOCK", str(made.state / "host.sock"))
            yield made


@pytest.mark.parametrize("name", PROBES)
async def test_nothing_gets_out(sandbox, work, host, name):
    ran = await probe(sandbox, host, work, PROBES[name])
    assert ran.exit_code == 0, ran.log[-3000:]
    assert ran.log.endswith(b"END\n"), ran.log[-3000:]
    assert ran.limit_hit is None


async def test_another_host_asked_for_at_the_door_is_a_word_to_the_broker(sandbox, work, host):
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
    "host-processes": lambda words, _: [w for w in words if w not in ("--unshare-pid", "--unshare-all")],
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
