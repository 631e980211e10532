"""A world in which everything races: it carries out the scheduler's decisions and holds each to what is promised."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

from core.scheduler.demand import Demand, EndpointSpec, Family, Work, WorkClass
from core.scheduler.events import (
    Arrived,
    Decision,
    EndpointDown,
    EndpointUp,
    Event,
    Evict,
    Finished,
    Forget,
    Grant,
    Held,
    Load,
    Loaded,
    LoadFailed,
    MemoryChanged,
    Tick,
    Vanished,
    Withdrawn,
)
from core.scheduler.scheduler import Scheduler

MEMORY_MIB = 48_000


@dataclass
class Server:
    """What an endpoint really does: its families with what runs on them, and since when each has served."""

    spec: EndpointSpec
    memory_mib: int = MEMORY_MIB
    running: dict[str, set[str]] = field(default_factory=dict)
    has_served: set[str] = field(default_factory=set)
    held: dict[str, str] = field(default_factory=dict)
    asleep: set[str] = field(default_factory=set)
    loading: str | None = None


class RacingWorld:
    """Endpoints, families and demands driven by chance. A broken promise raises `AssertionError`."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.now_s = 0.0
        sleeps = self.rng.random() < 0.3
        self.families = {
            f"m{index}": Family(
                f"m{index}", self.rng.choice((4_000, 9_000, 20_000, 40_000)), 20.0, 2.0 if sleeps else None
            )
            for index in range(self.rng.randint(2, 7))
        }
        self.scheduler = Scheduler(self.families.values())
        self.servers: dict[str, Server] = {}
        self.demands: dict[str, Demand] = {}
        self.waiting: set[str] = set()
        self.done: set[str] = set()
        self.counts: Counter[str] = Counter()
        self._ids = iter(range(10**9))
        for _ in range(self.rng.randint(1, 3)):
            self.bring_up()

    def step(self) -> None:
        """Let one thing happen, chosen by chance."""
        self.now_s += self.rng.choice((0.0, 0.01, 1.0, 5.0, 60.0, 900.0))
        actions = (self.arrive, self.arrive, self.finish, self.finish, self.load_ends, self.load_ends, self.odd)
        self.rng.choice(actions)()

    def odd(self) -> None:
        """Something that is not the ordinary course."""
        self.rng.choice(
            (
                self.withdraw,
                self.hold,
                self.vanish,
                self.crash,
                self.take_memory,
                self.go_down,
                self.bring_up,
                self.tick,
            )
        )()

    def settle(self) -> None:
        """Give everything the chance to end: every server up, all memory there, every load and all work finishes."""
        for server in self.servers.values():
            self.tell(MemoryChanged(server.spec.name, MEMORY_MIB), setting=server)
        if not self.servers:
            self.bring_up()
        for _ in range(20 * len(self.demands) + 100):
            if not self.waiting and not self._running():
                return
            self.now_s += 30.0
            self.load_ends(fails=False)
            self.finish()
            self.tell(Tick())
        raise AssertionError(f"{self.waiting} were never granted")

    def arrive(self) -> None:
        work = Work(self.rng.choice((1.0, 5.0, 60.0)), 80.0)
        family = self.rng.choice(list(self.families))
        demand = Demand(
            f"d{next(self._ids)}",
            family,
            work,
            self.now_s,
            self.rng.choice(list(WorkClass)),
            self.rng.choice("abc"),
            only_on=self.rng.choice(list(self.servers)) if self.rng.random() < 0.2 else "",
            weight=self.rng.choice((0.25, 1.0, 4.0)),
        )
        self.demands[demand.id] = demand
        self.waiting.add(demand.id)
        self.tell(Arrived(demand))

    def withdraw(self) -> None:
        if self.waiting:
            demand = self.rng.choice(sorted(self.waiting))
            self.waiting.remove(demand)
            self.tell(Withdrawn(demand))

    def finish(self) -> None:
        running = self._running()
        if running:
            demand = self.rng.choice(sorted(running))
            server = running[demand]
            server.running[self.demands[demand].family].discard(demand)
            server.held.pop(demand, None)
            self.done.add(demand)
            self.tell(Finished(demand))

    def hold(self) -> None:
        running = self._running()
        if running:
            demand = self.rng.choice(sorted(running))
            server = running[demand]
            server.held[demand] = self.demands[demand].family
            self.tell(Held(demand, self.now_s + 120.0))
            self.now_s += self.rng.choice((0.0, 60.0))
            server.held.pop(demand)
            server.running[self.demands[demand].family].discard(demand)
            self.done.add(demand)
            self.tell(Finished(demand))

    def load_ends(self, *, fails: bool | None = None) -> None:
        loading = [server for server in self.servers.values() if server.loading is not None]
        if not loading:
            return
        server = self.rng.choice(loading)
        family, server.loading = server.loading, None
        assert family is not None
        if self.rng.random() < 0.2 if fails is None else fails:
            self.tell(LoadFailed(server.spec.name, family, self.now_s + 10.0))
            return
        server.running[family] = set()
        server.has_served.discard(family)
        self.tell(Loaded(server.spec.name, family))

    def vanish(self) -> None:
        """A family that nothing uses is gone by itself, as after a keep-alive."""
        idle = [(each, family) for each in self.servers.values() for family, ids in each.running.items() if not ids]
        if idle:
            server, family = self.rng.choice(idle)
            del server.running[family]
            self.tell(Vanished(server.spec.name, family))

    def crash(self) -> None:
        """A runner ends with the work on it, which is reported as ended afterwards."""
        busy = [(each, family) for each in self.servers.values() for family, ids in each.running.items() if ids]
        if busy:
            server, family = self.rng.choice(busy)
            lost = server.running.pop(family)
            self.tell(Vanished(server.spec.name, family))
            for demand in sorted(lost):
                self.done.add(demand)
                self.tell(Finished(demand))

    def take_memory(self) -> None:
        """Another process takes or returns memory."""
        if self.servers:
            server = self.rng.choice(list(self.servers.values()))
            self.tell(MemoryChanged(server.spec.name, self.rng.choice((MEMORY_MIB, 30_000, 10_000))), setting=server)

    def go_down(self) -> None:
        """An endpoint vanishes; what ran there is reported as ended, and asked for again by its owner."""
        if len(self.servers) > 1:
            name = self.rng.choice(list(self.servers))
            server = self.servers.pop(name)
            self.tell(EndpointDown(name))
            for demand in sorted(each for each in self.waiting if self.demands[each].only_on == name):
                self.waiting.remove(demand)  # its owner is refused
                self.tell(Withdrawn(demand))
            for ids in server.running.values():
                for demand in sorted(ids):
                    self.done.add(demand)
                    self.tell(Finished(demand))

    def bring_up(self) -> None:
        if len(self.servers) < 3:
            spec = EndpointSpec(f"e{next(self._ids)}", MEMORY_MIB, chat_slots=self.rng.randint(0, 1), ram_mib=50_000)
            self.servers[spec.name] = Server(spec)
            self.tell(EndpointUp(spec))

    def tick(self) -> None:
        self.tell(Tick())

    def tell(self, event: Event, setting: Server | None = None) -> None:
        """Tell the scheduler, and carry out what it decides."""
        if setting is not None and isinstance(event, MemoryChanged):
            setting.memory_mib = event.memory_mib
        for decision in self.scheduler.handle(event, self.now_s):
            self.carry_out(decision)

    def carry_out(self, decision: Decision) -> None:
        """Hold a decision to what is promised of it."""
        self.counts[type(decision).__name__] += 1
        match decision:
            case Grant(demand, endpoint):
                server, family = self.servers[endpoint], self.demands[demand].family
                assert demand in self.waiting, "only what waits is granted, and once"
                assert self.demands[demand].only_on in ("", endpoint), "what is for one endpoint runs there"
                assert family in server.running, "work is granted where its family is ready"
                self.waiting.remove(demand)
                server.running[family].add(demand)
                server.has_served.add(family)
                busy = sum(len(ids - set(server.held)) for ids in server.running.values())
                assert busy <= server.spec.slots + server.spec.chat_slots, "no more runs than there are slots"
            case Evict(endpoint, family, to_sleep):
                server = self.servers[endpoint]
                assert not server.running.pop(family), "no work is cut off"
                assert family not in server.held.values(), "what is held between two turns stays"
                waiting = [self.demands[each] for each in self.waiting]
                waits = any(each.family == family and each.only_on in ("", endpoint) for each in waiting)
                assert family in server.has_served or not waits, "what was loaded serves before it is evicted"
                if to_sleep:
                    server.asleep.add(family)
                    asleep_mib = sum(self.families[each].memory_mib for each in server.asleep)
                    assert asleep_mib <= server.spec.ram_mib, "what sleeps fits into main memory"
            case Forget(endpoint, family):
                self.servers[endpoint].asleep.remove(family)
            case Load(endpoint, family, _, wake):
                server = self.servers[endpoint]
                assert server.loading is None, "one load at a time on each endpoint"
                assert family not in server.running
                used = sum(self.families[each].memory_mib for each in server.running)
                assert used + self.families[family].memory_mib <= server.memory_mib, (
                    "a load fits beside what is resident"
                )
                assert not wake or family in server.asleep, "only what sleeps is woken"
                server.asleep.discard(family)
                server.loading = family

    def _running(self) -> dict[str, Server]:
        return {each: server for server in self.servers.values() for ids in server.running.values() for each in ids}
