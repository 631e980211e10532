"""The rivals' own rules, each on the smallest case that shows it; their modules name the sources."""

from __future__ import annotations

import pytest

from core.scheduler.demand import Demand, EndpointSpec, Family, Work, WorkClass
from core.scheduler.events import Arrived, Decision, EndpointUp, Evict, Finished, Grant, Load, Loaded
from core.simulator.ollama import KEEP_ALIVE_S, Ollama, OllamaServers
from core.simulator.policies import run_policy
from core.simulator.simulation import SimulatedPolicy
from core.simulator.swapping import Swapping
from tests.unit.simulator.worlds import cluster, request

pytestmark = pytest.mark.queue


def family(name: str, memory_mib: int) -> Family:
    return Family(name, memory_mib, 10.0)


class Told:
    """A policy that is told one event after another, with its decisions as short words."""

    def __init__(self, policy: SimulatedPolicy, *endpoints: EndpointSpec) -> None:
        self._policy = policy
        for each in endpoints or (EndpointSpec("gpu", 100),):
            policy.handle(EndpointUp(each), 0.0)
        self._number = 0

    def arrives(self, name: str, now_s: float = 0.0) -> list[str]:
        """A request for a family; requests are numbered from 1."""
        self._number += 1
        demand = Demand(str(self._number), name, Work(10.0, 20.0), now_s, WorkClass.BULK)
        return self._words(self._policy.handle(Arrived(demand), now_s))

    def loaded(self, name: str, now_s: float = 0.0, endpoint: str = "gpu") -> list[str]:
        return self._words(self._policy.handle(Loaded(endpoint, name), now_s))

    def finished(self, number: int, now_s: float = 0.0) -> list[str]:
        return self._words(self._policy.handle(Finished(str(number)), now_s))

    @staticmethod
    def _words(decisions: object) -> list[str]:
        assert isinstance(decisions, list | tuple)
        return [_word(each) for each in decisions]


def _word(decision: Decision) -> str:
    match decision:
        case Grant(demand):
            return f"run {demand}"
        case Evict(_, name):
            return f"evict {name}"
        case Load(_, name):
            return f"load {name}"
    raise AssertionError(decision)


def ollama(**sizes: int) -> Told:
    return Told(Ollama({name: family(name, size) for name, size in sizes.items()}))


def test_ollama_a_request_for_a_loaded_model_passes_the_queue():
    server = ollama(a=60, b=60)
    assert server.arrives("a") == ["load a"]
    assert server.loaded("a") == ["run 1"]
    assert server.arrives("b") == [], "it waits for the room that a has"
    assert server.arrives("a") == []
    assert server.finished(1) == ["run 3"], "though b came before"


def test_ollama_the_head_of_the_queue_blocks_what_would_fit():
    server = ollama(a=60, big=60, small=10)
    server.arrives("a")
    server.loaded("a")
    assert server.arrives("big") == []
    assert server.arrives("small") == [], "there is room for it, but big is before it"
    assert server.finished(1) == ["evict a", "load big"]
    assert server.loaded("big") == ["run 2", "load small"]


def test_ollama_loads_one_model_at_a_time():
    server = ollama(a=10, b=10)
    assert server.arrives("a") == ["load a"]
    assert server.arrives("b") == []
    assert server.loaded("a") == ["run 1", "load b"]


def test_ollama_evicts_the_first_idle_model_by_name_and_not_the_least_recently_used():
    server = ollama(a=50, b=50, c=50)
    for number, name in enumerate(["b", "a"], 1):
        server.arrives(name)
        server.loaded(name)
        server.finished(number, 1.0 * number)
    assert server.arrives("c", 10.0) == ["evict a", "load c"], "b was used longest ago"


def test_ollama_a_victim_that_is_used_again_lives_on_while_the_head_waits_for_it():
    server = ollama(a=50, b=50, c=50)
    for name in ("a", "b"):
        server.arrives(name)
        server.loaded(name)
    assert server.arrives("c") == [], "none is idle: a is to go as soon as it is"
    assert server.arrives("a") == []
    assert server.finished(2) == [], "b is idle now, but the head waits for an unload and looks no more"
    assert server.finished(1) == ["run 4"], "the victim serves what came after the head"
    assert server.finished(4) == ["evict a", "load c"]


def test_ollama_a_model_that_was_idle_for_its_keep_alive_goes():
    server = ollama(a=10, b=10)
    server.arrives("a")
    server.loaded("a")
    server.finished(1)
    assert server.arrives("b", KEEP_ALIVE_S + 1) == ["evict a", "load b"]


def test_ollama_counts_models_too():
    server = ollama(**dict.fromkeys("abcd", 10))
    for number, name in enumerate("abc", 1):
        server.arrives(name)
        server.loaded(name)
        server.finished(number)
    assert server.arrives("d") == ["evict a", "load d"], "three models a GPU, whatever their size"


def test_ollama_servers_behind_a_balancer_take_turns_by_unfinished_requests():
    endpoints = (EndpointSpec("one", 100), EndpointSpec("two", 100), EndpointSpec("tiny", 10))
    policy = OllamaServers({"a": family("a", 50)})
    balancer = Told(policy, *endpoints)
    assert balancer.arrives("a") == ["load a"]
    assert balancer.arrives("a") == ["load a"], "the other server loads the same model"
    assert balancer.arrives("a") == [], "the tiny one cannot hold it"


def test_llama_swap_a_ready_model_goes_first_and_one_model_is_loaded():
    families = {name: family(name, 10) for name in "ab"}
    proxy = Told(Swapping(families, ready_first=True, max_models=1, swaps_when_idle=True))
    assert proxy.arrives("a") == ["load a"]
    assert proxy.loaded("a") == ["run 1"]
    assert proxy.arrives("b") == [], "a swap waits until a is idle"
    assert proxy.arrives("a") == []
    assert proxy.finished(1) == ["run 3"], "a is ready, so its request passes b"
    assert proxy.finished(3) == ["evict a", "load b"], "both would fit, but one model is loaded"


def test_lru_evicts_what_was_used_longest_ago():
    families = {name: family(name, 50) for name in "abc"}
    router = Told(Swapping(families, ready_first=True))
    for number, name in enumerate(["b", "a"], 1):
        router.arrives(name)
        router.loaded(name)
        router.finished(number)
    assert router.arrives("c") == ["evict b", "load c"]


def test_two_models_used_in_turn_thrash_under_the_rule_of_one_model():
    requests = [request(30.0 * number, "ab"[number % 2], 1) for number in range(10)]
    assert run_policy("llama-swap", cluster(), requests).loads == 10
    assert run_policy("countersign", cluster(), requests).loads == 2


def test_first_come_first_served_does_not_let_a_ready_model_pass():
    outcome = run_policy("fifo", cluster(), [request(0, "a"), request(1, "d"), request(2, "a", 1)])
    assert outcome.start_s[0] < outcome.start_s[1] < outcome.start_s[2]
    assert outcome.loads == 3
