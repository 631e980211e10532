"""Endpoints and nodes on the command line: documents, words, exit codes, against shims with GPU memory."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import ollama
import pytest

from tests.homes import CliHome
from tests.shims.ollama import GpuShim, Hardware, ShimModel

pytestmark = pytest.mark.queue
GIB = 1024**3
MODELS = {"small": ShimModel(4 * GIB, load_s=0.0), "large": ShimModel(40 * GIB, load_s=0.0)}


@contextmanager
def running_gpu_shim() -> Iterator[GpuShim]:
    """A shim in a thread of its own; the command line blocks this one."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="gpu-shim", daemon=True)
    thread.start()

    def within(work):
        return asyncio.run_coroutine_threadsafe(work, loop).result(60)

    async def start() -> GpuShim:
        shim = GpuShim(MODELS, Hardware(memory_bytes=24 * GIB), tokens_s=10_000.0)
        await shim.start()
        return shim

    shim = within(start())
    try:
        yield shim
    finally:
        within(shim.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


def configured(home: CliHome, url: str, more: str = "") -> CliHome:
    config = home.root / "countersign.yaml"
    local = f"  local: {{url: '{url}', gpu_memory_mib: [24576], reserve_mib: 1024, context_tokens: 4096}}"
    config.write_text(f"{config.read_text()}\nmodels:\n{local}\n{more}\n")
    return home


def closed_port() -> str:
    """An address at which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_without_a_worker_the_endpoints_are_asked_now(home: CliHome):
    with running_gpu_shim() as shim:
        configured(home, shim.url)
        ollama.Client(shim.url).generate("small", "hi", options={"num_ctx": 4096})
        (row,) = home.document("endpoints")["endpoints"]
        shown = home.run("endpoints").out
    assert (row["name"], row["kind"], row["state"], row["server"]) == ("local", "ollama", "up", "Ollama 0.12.6")
    (resident,), (gpu,) = row["residents"], row["gpus"]
    assert (resident["name"], resident["level"], resident["vram_bytes"]) == ("small:latest", "awake", int(4.5 * GIB))
    assert (gpu["total_bytes"], gpu["usable_bytes"]) == (24 * GIB, int(18.5 * GIB))
    assert {model["name"]: model["is_too_large"] for model in row["models"]} == {
        "small:latest": False,
        "large:latest": True,
    }
    assert row["age_s"] < 60
    assert "local: up · Ollama 0.12.6" in shown
    assert "GPU 0: 19.5 of 24.0 GiB free, 1.0 GiB reserved" in shown
    assert "small:latest: 4.5 GiB, awake, unloads in" in shown
    assert "2 models known; too large for it: large:latest" in shown
    assert "looked at" in shown


def test_each_way_of_being_wrong_is_one_sentence(home: CliHome):
    with running_gpu_shim() as shim:
        configured(
            home, shim.url, f"  gone: {{url: '{closed_port()}'}}\n  hub: {{kind: anthropic, url: 'https://x.invalid'}}"
        )
        shim.switch("garbage")
        rows = {row["name"]: row for row in home.document("endpoints")["endpoints"]}
    assert {name: row["state"] for name, row in rows.items()} == {"gone": "down", "hub": "unknown", "local": "down"}
    assert "nothing is listening" in rows["gone"]["problem"]
    assert "something that is not JSON" in rows["local"]["problem"]
    assert rows["hub"]["problem"] == "It serves agents only, so it is not asked."


def test_a_maintainer_drains_and_resumes_an_endpoint_and_the_queue_is_not_meant(home: CliHome):
    configured(home, closed_port())
    drained = home.document("drain", "local", "--reason", "new disk", "--as", "lee")
    assert (drained["endpoint"], drained["drained"]["by"], drained["drained"]["reason"]) == ("local", "lee", "new disk")
    assert home.document("queue")["paused"] is None
    assert home.document("endpoints")["endpoints"][0]["drained"]["reason"] == "new disk"
    assert "Drained just now by lee: new disk" in home.call("endpoints").out
    assert home.document("resume", "local") == {"endpoint": "local", "drained": None}
    assert home.document("endpoints")["endpoints"][0]["drained"] is None
    home.document("pause")
    assert home.document("resume") == {"paused": None}
    trail = home.call("events").out
    assert "endpoint.drained" in trail
    assert "endpoint.resumed" in trail


def test_what_is_refused_and_what_is_not_there(home: CliHome):
    configured(home, closed_port())
    for verb in ("drain", "resume"):
        refused = home.call(verb, "local", "--as", "ana")
        assert (refused.code, "ana is not a maintainer" in refused.sentence()) == (3, True)
        missing = home.call(verb, "nowhere", "--json")
        assert (missing.code, missing.json()["error"]["code"]) == (6, "no_endpoint")
        assert "there is no endpoint 'nowhere'. Known: local." in missing.sentence()
    assert home.call("drain").code == 2


def test_without_endpoints_and_without_nodes_it_says_what_they_are(home: CliHome):
    assert home.document("endpoints") == {"endpoints": []}
    assert "Add them to `models:`" in home.call("endpoints").out


def test_a_worker_makes_its_host_a_node_and_keeps_the_endpoints_up_to_date(home: CliHome):
    with running_gpu_shim() as shim:
        configured(home, shim.url)
        worker = home.start("worker", "--node", "gpu-1")
        try:
            shim_paths = shim.paths
            wait(lambda: "/api/ps" in shim_paths)
            wait(lambda: home.document("endpoints")["endpoints"][0]["state"] == "up")
            (node,) = [node for node in home.document("nodes")["nodes"] if node["name"] == "gpu-1"]
            assert node["workers"][0]["host"] == socket.gethostname()
            assert node["heard_at"] is not None
            assert "1 worker, heard of" in home.call("nodes").out
        finally:
            worker.terminate()
            assert worker.wait(60) == 0
    assert home.document("endpoints")["endpoints"][0]["state"] == "down", "asked now: no worker looks any more"
    assert "No worker runs." in home.call("nodes").out


def wait(holds, within_s: float = 60) -> None:
    import time

    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.1)


WRONG = {
    "gpu_memory_mib: [0]": "gpu_memory_mib",
    "gpu_memory_mib: [1024], node: gpu-1": "is given beside `node` or `gpus`",
    "reserve_mib: -1": "reserve_mib",
    "parallel: 0": "parallel",
    "gpus: [-1]": "gpus",
    "ram_mib: lots": "ram_mib",
    "node: ''": "node",
}


@pytest.mark.parametrize("setting", WRONG)
def test_a_wrong_setting_is_named_with_file_and_line(home: CliHome, setting):
    config = home.root / "countersign.yaml"
    config.write_text(f"{config.read_text()}\nmodels:\n  local: {{url: 'http://x', {setting}}}\n")
    said = home.call("endpoints")
    assert (said.code, WRONG[setting] in said.sentence()) == (2, True), said
    assert "countersign.yaml:" in said.sentence()


def test_doctor_says_what_is_wrong_with_an_endpoint(home: CliHome):
    with running_gpu_shim() as shim:
        configured(home, shim.url)
        lane = "name: big\ndescribe: any file\nwrite: ['**']\nexecutor: ollama\nmodels: [local/large]\n"
        (home.root / "lanes" / "big.yaml").write_text(lane)
        home.document("drain", "local", "--reason", "new disk")
        checks = {row["name"]: row for row in home.document("doctor")["checks"]}
    assert (checks["work at local"]["verdict"], checks["work at local"]["mend"]) == (
        "warn",
        "Let it work again with `countersign resume local`.",
    )
    assert checks["memory of local"]["verdict"] == "warn"
    assert "large:latest needs 42." in checks["memory of local"]["detail"]
