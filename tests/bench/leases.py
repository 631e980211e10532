"""The live queue on four Ollama shims: requests by chat and command line, workers that are killed, and the prediction.

`countersign serve` with a Telegram group and two `countersign worker` processes work on a home with a lane for each of
eight models; a shim has room for one of its two. Half of the requests are written in the group, half are made by
`countersign ask`. Each worker is killed once. The simulator predicts from when models were asked for and how long each
was then used, as the rows say, and from how long a single load took before. Beside it the same requests go straight to
shims of their own, which then decide by Ollama's rules. Takes about six minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from core.queue.lease_granter import INVENTORY_EVERY_S
from core.scheduler.demand import EndpointSpec, WorkClass
from core.scheduler.scheduler import Scheduler
from core.simulator.cluster import Cluster, Model
from core.simulator.report import mean
from core.simulator.simulation import simulate
from core.simulator.trace import Request
from core.simulator.windows import quantile
from lanes.models.chat import ChatMessage, ChatRequest
from lanes.models.registry import ModelRegistry
from tests.bench.live_queue import WORKERS, LiveQueue, ModelUse, lane_of, models_of, prepare, reply, visitor_of
from tests.fakes.admission import MemoryAdmission
from tests.fakes.telegram import FakeTelegram
from tests.homes import CliHome, make_home
from tests.integration.leases.leased_models import endpoint_of
from tests.shims.ollama.scheduler import GIB, Hardware, ShimModel
from tests.shims.ollama.server import GpuShim

OUT: Final = Path("build/bench/leases.json")
SHIMS, TOKENS, TOKENS_S, LOAD_S = 4, 100, 50.0, 8.0
_RECOVERY_S: Final = 40.0
"""How long after a kill requests may wait for it: 15 s until leases end, and until jobs and duties are taken."""
_PATIENCE_S: Final = 900.0
"""How long a request by Ollama's rules may wait for its turn, which no lease shortens."""
LIMITS: Final = {
    "mean_off_prediction": 0.1,
    "mean_of_ollama": 1.0,
    "p95_of_ollama": 1.0,
    "lost": 0.0,
    "repeated": 0.0,
}
"""The greatest value of each figure that meets its goal (docs/model-scheduling.md)."""


def main(argv: list[str]) -> int:
    """Measure, print the table, write the file; 1 when a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.leases", description=__doc__)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--load", type=float, default=0.4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=len(WORKERS), help="how many workers are killed")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(argv)
    os.umask(0o077)
    with tempfile.TemporaryDirectory(prefix="countersign-leases-") as folder:
        figures = asyncio.run(measure(make_home(Path(folder)), options))
    failed = [f"{name} is {figures[name]:.4g}, over {limit}" for name, limit in LIMITS.items() if figures[name] > limit]
    for name, value in figures.items():
        print(f"{name:>20}  {value:.4g}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({**figures, "failed": failed}, indent=2) + "\n")
    for each in failed:
        print(f"missed: {each}")
    return 1 if failed else 0


@dataclass(frozen=True, slots=True)
class Calibration:
    """What single requests showed: how long a warm model is used for one, and how long a cold one is waited for."""

    service_s: float
    load_s: float
    tasks: int


async def measure(home: CliHome, options: argparse.Namespace) -> dict[str, float]:
    """The figures: ratios, and counts of what went wrong; `service_s` and `load_s` are what was calibrated."""
    number: int = options.requests
    async with AsyncExitStack() as stack:
        telegram = await stack.enter_async_context(FakeTelegram())
        ana, group = telegram.person("Ana"), telegram.group()
        shims, bare = _shims(), _shims()
        for shim in (*shims.values(), *bare.values()):
            await stack.enter_async_context(shim)
        prepare(home, shims, telegram, group.id, ana.id)
        live = LiveQueue(home)
        stack.push_async_callback(live.close)
        await live.start()
        calibration = await _calibrate(live, models_of(shims)[0])
        requests = _requests(number, options.load, options.seed, calibration.service_s)
        loads_before = _loads(shims)

        at_s: list[float] = []
        kills = [(each + 1) * number // (options.kills + 1) for each in range(options.kills)]

        async def ask(index: int, model: str) -> None:
            text = f"please greet visitor {index}"
            if index in kills:
                at_s.append(time.time())
                await live.kill(WORKERS[kills.index(index) % len(WORKERS)])
            if index % 2:
                await live.ask(text, model)
            else:
                ana.says(group, f"/ask {text} --lane {lane_of(model)}")

        _, bare_s = await asyncio.gather(_send(requests, ask), _without_leases(requests, bare))
        await live.until_rested(number + calibration.tasks, 120 + 3 * calibration.service_s * number / SHIMS)
        uses = [use for use in live.uses() if use.number > calibration.tasks]
        states = {task: state for task, state in live.states().items() if task > calibration.tasks}
        answered = Counter(visitor_of(entry["asked"]) for shim in shims.values() for entry in shim.scheduler.tally.log)
    took_s = {use.number: use.ended_s - use.arrived_s for use in uses}
    predicted_s, loads = predicted(uses, calibration.load_s)
    in_outages = {use.number for use in uses for at in at_s if use.ended_s > at and use.arrived_s < at + _RECOVERY_S}
    apart = [use.number for use in uses if use.number not in in_outages]
    ratio = mean(list(took_s.values())) / mean(list(predicted_s.values()))
    return {
        "mean_of_prediction": ratio,
        "mean_off_prediction": abs(ratio - 1),
        "mean_of_prediction_apart_from_kills": mean([took_s[each] for each in apart])
        / mean([predicted_s[each] for each in apart]),
        "mean_of_ollama": mean(list(took_s.values())) / mean(bare_s),
        "p95_of_ollama": quantile(list(took_s.values()), 0.95) / quantile(bare_s, 0.95),
        "loads_of_ollama": (_loads(shims) - loads_before) / _loads(bare),
        "loads_of_prediction": (_loads(shims) - loads_before) / loads,
        "lost": float(number - sum(state == "staged" for state in states.values())),
        "repeated": float(
            len(states) - number + sum(answered[visitor] - 1 for visitor in range(number) if answered[visitor] > 1)
        ),
        "service_s": calibration.service_s,
        "service_s_in_the_run": statistics.median(use.ended_s - use.granted_s for use in uses),
        "load_s": calibration.load_s,
    }


def _requests(number: int, load: float, seed: int, work_s: float) -> list[Request]:
    """Requests at random times, for each model as often as for any other."""
    rng = random.Random(seed)
    duration_s = number * work_s / (SHIMS * load)
    times = sorted(rng.uniform(0.0, duration_s) for _ in range(number))
    names = [f"e{shim}/m{model}" for shim in range(SHIMS) for model in range(2)]
    return [Request(at_s, rng.choice(names), 0, TOKENS, work_class=WorkClass.BULK) for at_s in times]


def _shims() -> dict[str, GpuShim]:
    models = {f"m{index}": ShimModel(8 * GIB, 1024, load_s=LOAD_S, wake_s=LOAD_S) for index in range(2)}
    hardware = Hardware(memory_bytes=12 * GIB)
    return {
        f"e{index}": GpuShim(models, replace(hardware), reply=reply(TOKENS), tokens_s=TOKENS_S)
        for index in range(SHIMS)
    }


def _loads(shims: Mapping[str, GpuShim]) -> int:
    return sum(shim.scheduler.tally.loads + shim.scheduler.tally.wakes for shim in shims.values())


async def _calibrate(live: LiveQueue, model: str, warm: int = 5) -> Calibration:
    """One request to a cold model, and some to the warm one, each alone."""
    for done in range(warm + 1):
        await live.ask(f"please greet visitor {10_000 + done}", model)
        await live.until_rested(done + 1, 120)
    cold, *uses = live.uses()
    service_s = statistics.median(use.ended_s - use.granted_s for use in uses)
    return Calibration(service_s, cold.granted_s - cold.arrived_s, warm + 1)


async def _send(requests: Sequence[Request], ask: Callable[[int, str], Awaitable[None]]) -> tuple[float, ...]:
    """Send each request at its time; the seconds that each took."""
    began_s = time.monotonic()

    async def one(index: int, request: Request) -> float:
        await asyncio.sleep(request.arrival_s - (time.monotonic() - began_s))
        sent_s = time.monotonic()
        await ask(index, request.model)
        return time.monotonic() - sent_s

    return tuple(await asyncio.gather(*(one(index, each) for index, each in enumerate(requests))))


async def _without_leases(requests: Sequence[Request], shims: Mapping[str, GpuShim]) -> tuple[float, ...]:
    patient = {name: replace(endpoint_of(name, shim), first_token_s=_PATIENCE_S) for name, shim in shims.items()}
    models = ModelRegistry(patient, MemoryAdmission())

    async def ask(index: int, model: str) -> None:
        message = ChatMessage("user", f"please greet visitor {index}")
        await models.model_for([model]).ask(ChatRequest((message,), max_tokens=2 * TOKENS))

    return await _send(requests, ask)


def predicted(uses: Sequence[ModelUse], load_s: float) -> tuple[dict[int, float], int]:
    """How long each task would take in the simulator, and the loads, with each model on its endpoint only.

    What the scheduler met is taken from the rows: when each model was asked for, and how long it was then used. So the
    delays of a busy machine do not count as errors of the prediction; waits and loads do.
    """
    ordered = sorted(uses, key=lambda use: use.arrived_s)
    requests = [
        Request(
            use.arrived_s - ordered[0].arrived_s,
            use.model,
            0,
            TOKENS,
            work_class=WorkClass.BULK,
            work_s=use.ended_s - use.granted_s,
        )
        for use in ordered
    ]
    names = sorted({each.model for each in requests})
    models = tuple(Model(name, 8 * 1024, 1e9, TOKENS_S, load_s) for name in names)
    specs = tuple(EndpointSpec(f"e{index}", 12 * 1024, chat_slots=1) for index in range(SHIMS))
    families = [replace(model.family, only_on=frozenset({model.name.partition("/")[0]})) for model in models]
    outcome = simulate(Cluster(models, specs), requests, Scheduler(families), tick_s=INVENTORY_EVERY_S)
    times = zip(ordered, requests, outcome.finish_s, strict=True)
    return {use.number: finish_s - request.arrival_s for use, request, finish_s in times}, outcome.loads


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
