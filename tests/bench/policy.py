"""What a decision of policy costs with 200 rules and 20 lanes, beside a naive evaluation of every rule.

The requests are of many people, with and without a named lane, on one to three paths; every lane is open to most of
them, so that every lane's globs are asked. A figure is the mean over the requests of the fastest decision on each. The
peer, called naive, is `tests.unit.policies.naive`, which asks each rule for each lane and writes reason and trace at
once.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from core.model.decision import ApprovalRequirements, PolicyRequest
from core.model.lane import Lane
from core.model.person import People, Person
from policies.policy import RulePolicy
from policies.rules import AllowEffect, AskEffect, DenyEffect, Rule, RuleCondition, Rules
from tests.unit.policies.naive import NaivePolicy

OUT: Final = Path("build/bench/policy.json")
RULES, LANES, PEOPLE, REQUESTS = 200, 20, 50, 100
BOUND_US: Final = 100.0
LIMITS: Final = {"bound_ratio": 1.0, "naive_ratio": 0.05}


def main(argv: list[str]) -> int:
    """Measure, print the table, write the file; 1 when a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.policy", description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(argv)
    figures: dict[str, object] = {**measure(options.rounds)}
    figures["failed"] = missed(figures)
    for name, value in figures.items():
        print(f"{name:>16}  {value}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(figures, indent=2) + "\n")
    return 1 if figures["failed"] else 0


def missed(figures: Mapping[str, object]) -> list[str]:
    """The goals that these figures do not meet."""
    return [
        f"{name} is {figures[name]}, over {limit}"
        for name, limit in LIMITS.items()
        if float(str(figures[name])) > limit
    ]


def measure(rounds: int) -> dict[str, float]:
    """Microseconds a decision, of the bound and of the naive evaluation; and of compiling, deciding and explaining."""
    began = time.perf_counter()
    policy = RulePolicy(_rules(), _people(), _lanes())
    policy.decide(_requests()[0])
    compiled_ms = (time.perf_counter() - began) * 1000
    naive, requests = NaivePolicy(_rules(), _people(), _lanes()), _requests()
    for request in requests:
        _same(policy, naive, request)
    decision_us = _fastest_us(policy.decide, requests, rounds)
    naive_us = _fastest_us(naive.decide, requests, max(rounds // 25, 1))
    return {
        "bound_ratio": round(decision_us / BOUND_US, 3),
        "naive_ratio": round(decision_us / naive_us, 5),
        "decision_us": round(decision_us, 1),
        "reason_us": round(_fastest_us(lambda request: policy.decide(request).reason, requests, rounds), 1),
        "naive_us": round(naive_us, 1),
        "bound_us": BOUND_US,
        "compiled_ms": round(compiled_ms, 1),
    }


def _same(policy: RulePolicy, naive: NaivePolicy, request: PolicyRequest) -> None:
    """What is compared is one answer."""
    ours, theirs = policy.decide(request), naive.decide(request)
    if (ours.effect, ours.lane, ours.reason) != (theirs.effect, theirs.lane, theirs.reason):
        raise AssertionError(f"{request}: {ours.reason}; naive: {theirs.reason}")


def _fastest_us(decide: Callable[[PolicyRequest], object], requests: Sequence[PolicyRequest], rounds: int) -> float:
    """The mean over all requests of the fastest of `rounds` decisions on each, so that other work hardly counts."""
    fastest = [float("inf")] * len(requests)
    for _ in range(rounds):
        for n, request in enumerate(requests):
            began = time.perf_counter()
            decide(request)
            fastest[n] = min(fastest[n], time.perf_counter() - began)
    return sum(fastest) / len(fastest) * 1e6


def _lanes() -> dict[str, Lane]:
    lanes = {}
    for n in range(LANES):
        write = (
            f"area{n}/**",
            f"docs/area{n}/**/*.md",
            f"**/*.kind{n}",
            f"*.{n}.toml",
            f"src/[a-m]*/{n}?/**/test_*.py",
        )
        protect = (f"area{n}/secrets/**", "**/*.pem") if n % 4 == 0 else ()
        lanes[f"lane{n:02}"] = Lane(f"lane{n:02}", "a part of the tree", write, "edit", protect=protect)
    lanes["lane00"] = Lane("lane00", "the whole tree", ("**",), "ollama")
    return lanes


def _rules() -> Rules:
    """Ten rules a lane: some for one person or team, some for one surface or repository, and one for every member."""
    rules = []
    for n in range(RULES):
        lane, place = f"lane{n % LANES:02}", n // LANES
        who = ("member",) if place == RULES // LANES - 1 else (f"team{n % 13}", f"person{n % PEOPLE}")
        surfaces, repositories = (("slack", "telegram") if place % 3 == 1 else None), (("web",) if place % 2 else None)
        when = RuleCondition(who, (lane,), surfaces, repositories)
        allow = AllowEffect(ApprovalRequirements(f"rule{n}", 1 + place % 2, ("maintainer", "lee")))
        effects: dict[int, AllowEffect | DenyEffect | AskEffect] = {
            3: DenyEffect("frozen until the release"),
            5: AskEffect("Which lane shall it be?"),
        }
        rules.append(Rule(f"rule{n}", when, effects.get(place, allow), n))
    return Rules(tuple(rules), ("deploy/**", "**/*.key"))


def _people() -> People:
    roles = (frozenset({"member", f"team{n % 17}"}) for n in range(PEOPLE))
    return People({f"person{n}": Person(f"person{n}", held) for n, held in enumerate(roles)})


def _requests() -> list[PolicyRequest]:
    paths = (
        lambda n: (f"area{n % LANES}/x/y{n}.py",),
        lambda n: (f"docs/area{n % LANES}/a/b.md", f"docs/area{n % LANES}/c.md"),
        lambda n: (f"x/y/z.kind{n % LANES}", f"area{n % LANES}/w.kind{n % LANES}", f"q.kind{n % LANES}"),
        lambda n: (f"other/place{n}.txt",),
        lambda n: (f"area{n % LANES}/a.py", f"area{(n + 1) % LANES}/b.py"),
    )
    rule_lanes = frozenset(name for name, lane in _lanes().items() if lane.executor == "edit")
    return [
        PolicyRequest(
            person=f"person{n % PEOPLE}",
            surface=("terminal", "slack", "github")[n % 3],
            repository=("web", "infra")[n % 2],
            paths=paths[n % len(paths)](n),
            lane=f"lane{n % LANES:02}" if n % 4 == 3 else None,
            deterministic=n % 7 != 0,
            edited_by_rule=rule_lanes,
        )
        for n in range(REQUESTS)
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
