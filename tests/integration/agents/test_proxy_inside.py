"""The egress proxy from inside the sandbox: curl, Python, pip and agent programs, at listed and other hosts."""

from __future__ import annotations

import asyncio
import hashlib
import io
import ssl
import subprocess
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from lanes.agent_clis.adapter import PROXY_PORT
from lanes.agent_clis.executor import agent_environment
from lanes.agent_clis.program import AgentProgram, ProgramPlace, find_program
from lanes.egress import EgressLog, EgressProxy
from lanes.egress.proxy import Streams
from lanes.sandbox import PortForward, SandboxLimits, SandboxRun
from tests import builders
from tests.counterparts import agent
from tests.fakes.models import runs, serving
from tests.integration.agents.conftest import known

pytestmark = [pytest.mark.lanes, pytest.mark.sandbox]
PUBLIC, HOSTS = "93.184.216.34", ("mirror.example",)
CA = "/home/lane/ca.pem"
TRUST = {"CURL_CA_BUNDLE": CA, "SSL_CERT_FILE": CA, "PIP_CERT": CA, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
WHEEL = "thing-1.0-py3-none-any.whl"

Made = Callable[[tuple[str, ...], EgressLog | None], EgressProxy]


def wheel() -> bytes:
    """The smallest thing that pip takes for a package."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("thing.py", "")
        archive.writestr("thing-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n")
        archive.writestr("thing-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("thing-1.0.dist-info/RECORD", "")
    return made.getvalue()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """A certificate for mirror.example, which signs itself, with its key beside it."""
    made: Path = tmp_path_factory.mktemp("ca") / "ca.pem"
    words = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    names = ["-subj", "/CN=mirror.example", "-addext", "subjectAltName=DNS:mirror.example", "-days", "2"]
    files = ["-keyout", str(made.with_name("key.pem")), "-out", str(made)]
    subprocess.run([*words, *names, *files], check=True, capture_output=True)
    return made


@asynccontextmanager
async def mirror(certificate: Path) -> AsyncIterator[tuple[Made, list[str]]]:
    """A host of packages on loopback that stands for mirror.example; makes proxies that find it there."""
    did: list[str] = []
    package = wheel()
    page = f'<a href="/{WHEEL}#sha256={hashlib.sha256(package).hexdigest()}">{WHEEL}</a>'

    async def serve(request: web.Request) -> web.Response:
        did.append(f"{request.host} {request.path}")
        if request.path.endswith(".whl"):
            return web.Response(body=package)
        return web.Response(text=page, content_type="text/html")

    app = web.Application()
    app.router.add_get("/{path:.*}", serve)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    port = runner.addresses[0][1]

    async def find(_host: str) -> list[str]:
        return [PUBLIC]

    def connect(_address: str) -> Awaitable[Streams]:
        return asyncio.open_connection("127.0.0.1", port)

    try:
        yield lambda hosts, log: EgressProxy(hosts, log, resolve_host=find, connect=connect), did
    finally:
        await runner.cleanup()


PROBES = {
    "curl": "curl -sS -m 30 https://mirror.example/x",
    "python": "python3 -c 'import urllib.request as u; u.urlopen(\"https://mirror.example/y\", timeout=30).read()'",
    "pip": "$PIP download -q --no-deps -d /tmp/got -i https://mirror.example/simple thing && ls /tmp/got",
    "other": "curl -sSv -m 30 https://other.example/",
    "python other": "python3 -c 'import urllib.request as u; u.urlopen(\"https://other.example/\", timeout=30)'",
    "another name in the greeting": "curl -sS -m 30 -k --connect-to evil.example:443:mirror.example:443 https://evil.example/",
    "address": f"curl -sS -m 30 -k https://{PUBLIC}/",
    "metadata": "curl -fsSv -m 30 -x http://127.0.0.1:8092 http://169.254.169.254/latest/meta-data/",
    "metadata by https": "curl -sS -m 30 -k https://169.254.169.254/",
    "plain": "curl -sS -m 30 http://mirror.example/",
    "plain by the proxy": "curl -fsSv -m 30 -x http://127.0.0.1:8092 http://mirror.example/",
    "around it": "curl -sS -m 5 --noproxy '*' https://mirror.example/",
    "around it by address": f"curl -sS -k -m 5 --noproxy '*' https://{PUBLIC}/",
    "around it by variable": "NO_PROXY='*' no_proxy='*' curl -sS -m 5 https://mirror.example/",
    "names": "python3 -c 'import socket; print(socket.getaddrinfo(\"mirror.example\", 443))'",
    "names by hand": "python3 -c 'import socket as s; u = s.socket(s.AF_INET, s.SOCK_DGRAM); u.settimeout(2); "
    'u.sendto(bytes(12), ("9.9.9.9", 53)); print(u.recv(512))\'',
}  # fmt: skip


async def test_programs_reach_the_listed_host_and_nothing_else(sandbox, tmp_path, certificate):
    program = find_program(known("mini-swe-agent"), ProgramPlace(agent("mini-swe-agent")))
    assert isinstance(program, AgentProgram)
    script = "".join(f"echo '=== {name}'; ({probe}) 2>&1; echo \"--- $?\"\n" for name, probe in PROBES.items())
    lane = builders.lane("code", isolation=replace(builders.lane("x").isolation, hosts=HOSTS))
    work = tmp_path / "work"
    work.mkdir()
    async with mirror(certificate) as (made, did), made(HOSTS, None) as proxy:
        ran = await sandbox.run(
            SandboxRun(
                ("/bin/sh", "-c", script),
                work,
                SandboxLimits(wall_s=240),
                environment={**agent_environment(lane), **TRUST, "PIP": f"{program.argv[0]} -m pip"},
                programs=program.mounts,
                home={"ca.pem": certificate.read_bytes()},
                forwards=(PortForward(proxy.socket, PROXY_PORT),),
            )
        )
    parts = ran.log.decode().split("=== ")[1:]
    said = {name: rest.rsplit("--- ", 1) for name, _, rest in (part.partition("\n") for part in parts)}
    went = {name for name, (_, code) in said.items() if code.strip() == "0"}
    assert went == {"curl", "python", "pip"}, ran.log.decode()
    assert WHEEL in said["pip"][0]
    assert did == [
        "mirror.example /x",
        "mirror.example /y",
        "mirror.example /simple/thing/",
        f"mirror.example /{WHEEL}",
    ]
    assert "403 Forbidden: it is not among the lane's hosts" in said["other"][0]
    assert "403 Forbidden: it is not among the lane's hosts" in said["python other"][0]
    assert "405 Method Not Allowed: only CONNECT, for https, is supported" in said["plain by the proxy"][0]
    assert "405 Method Not Allowed" in said["metadata"][0]
    log = proxy.log.content().decode().splitlines()
    for words in (
        "CONNECT other.example:443 REFUSED: it is not among the lane's hosts",
        f"CONNECT mirror.example:443 {PUBLIC} REFUSED: its ClientHello is for evil.example",
        f"CONNECT {PUBLIC}:443 REFUSED: it is not a host name",
        "CONNECT 169.254.169.254:443 REFUSED: it is not a host name",
        "CONNECT REFUSED: only CONNECT, for https, is supported",
    ):
        assert any(words in line for line in log), (words, log)


@pytest.mark.parametrize("name", ["claude-code", "codex"])
async def test_an_agents_own_commands_go_through_and_the_log_is_kept(runner, certificate, name):
    commands = (
        "curl -sSk https://mirror.example/x > src/got.txt",
        "curl -sS https://other.example/ 2> src/no.txt; true",
    )
    async with mirror(certificate) as (made, did), serving(runs(*commands)) as models:
        order = await runner.order()
        lane = replace(order.lane, isolation=replace(order.lane.isolation, hosts=HOSTS))
        produced = await runner.made(runner.other(known(name), models, new_proxy=made), replace(order, lane=lane))
    changed = await runner.changed(produced.tree)
    assert WHEEL in changed["src/got.txt"]
    assert "403" in changed["src/no.txt"]
    assert did == ["mirror.example /x"]
    log = produced.artifacts["broker.log"].decode()
    assert f"CONNECT mirror.example:443 {PUBLIC}" in log
    assert "CONNECT other.example:443 REFUSED: it is not among the lane's hosts" in log
    assert "CONNECT 127." not in log, "its own questions to its model take no detour"
    asked = {line.split()[2] for line in log.splitlines() if "CONNECT" in line and "REFUSED" not in line}
    assert asked == {"mirror.example:443"}, "whatever else a program asks of its own accord is refused"
