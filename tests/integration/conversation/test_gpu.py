"""What /gpu answers in a chat: short lines that fit a phone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.surfaces.port import Place
from core.model.endpoint_snapshot import EndpointSnapshot, KnownModel, ResidentModel
from core.model.inventory import Gpu, LoadOptions, ModelFamily, Ram, ServerState
from tests.builders import LEE
from tests.fakes.surface import MemorySurface
from tests.served_home import introduce, serve_home

pytestmark = pytest.mark.surfaces
GROUP = Place("telegram", "-100", None)
GIB = 1024**3
PHONE = 64


def seen() -> list[EndpointSnapshot]:
    now = datetime.now(UTC)
    family = ModelFamily("sha256:9f", LoadOptions(32_768, 1))
    resident = ResidentModel("qwen3:8b", family, vram_bytes=7 * GIB, expires_at=now + timedelta(minutes=4.2))
    model = KnownModel("qwen3:8b", family, estimate_bytes=8 * GIB)
    gpus = (Gpu("GPU-1", "NVIDIA GeForce RTX 4090", 24 * GIB, 12 * GIB, GIB),)
    up: dict[str, Any] = {"state": ServerState.UP, "seen_at": now, "checked_at": now}
    return [
        EndpointSnapshot(
            "local", "ollama", server="Ollama 0.12.6", gpus=gpus, residents=(resident,), models=(model,), **up
        ),
        EndpointSnapshot("old", "ollama", server="Ollama 0.9", ram=Ram(64 * GIB, 8 * GIB), **up),
    ]


async def test_gpu_lists_each_server_with_its_memory_and_what_is_loaded(home):
    introduce(home, more="models: {local: {url: 'http://127.0.0.1:9'}, old: {url: 'http://127.0.0.1:9'}}")
    async with serve_home(home, {"telegram": MemorySurface("telegram")}) as served:
        await served.app.inventory.record(seen())
        await served.app.inventory.drain(LEE, "old", "it is slow")
        answer = (await served.says("ana", "/gpu", GROUP)).text
        same = (await served.says("ana", "/endpoints", GROUP)).text
    local, old = answer.split("\n\n")
    assert local.splitlines()[0] == "local: up · Ollama 0.12.6"
    assert "GPU 0 NVIDIA GeForce RTX 4090: 12.0 of 24.0 GiB free, 1.0 GiB reserved" in local
    assert "5.0 GiB used by other programs" in local
    assert "qwen3:8b: 7.0 GiB, awake, unloads in 4 min" in local
    assert old.splitlines()[:2] == ["old: draining · Ollama 0.9", "Drained just now by lee: it is slow"]
    assert "CPU only: 8.0 of 64.0 GiB free" in old
    assert "No model is in memory." in old
    assert max(len(line) for line in answer.splitlines()) <= PHONE + 8, "a line wraps at most once"
    assert same.splitlines()[0] == local.splitlines()[0]


async def test_gpu_without_servers_says_so(home):
    introduce(home)
    async with serve_home(home, {"telegram": MemorySurface("telegram")}) as served:
        assert (await served.says("ana", "/gpu", GROUP)).text == "No model servers are configured."
        assert "takes nothing after it" in (await served.says("ana", "/gpu 5", GROUP)).text
