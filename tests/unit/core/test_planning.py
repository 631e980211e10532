"""Planning is one pure function: everyone who asks about a request gets the same answer."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.interpret.explanation import explanation_of
from core.model.decision import Effect
from core.model.edits import CreateFile
from core.model.errors import Kind, Problem
from core.model.intent import Intent
from core.model.lane import Lane
from core.model.workflow import Parameter
from core.ports.executor import Executor
from core.rules.lane_availability import ASSUMED, LaneAvailability
from core.rules.planning import (  # fmt: skip
    ANYTHING,
    RequestOrigin,
    open_lanes,
    parameter_question,
    people_allowed_in,
    plan_request,
    policy_request,
)
from core.services.request_preview import RequestPreview
from core.settings import Settings
from core.store.database import Database
from policies.load import parse_rules
from policies.policy import RulePolicy
from policies.rules import BUILT_IN_ROLES, NameList
from tests import builders
from tests.fakes.ports import FakeExecutor

pytestmark = pytest.mark.law

ROOT = Path(__file__).parents[3]
LANES = {
    "docs": Lane("docs", "words", ("docs/**", "**/*.md"), "edit"),
    "config": Lane("config", "settings", ("config/**", "*.toml"), "edit", protect=("config/prod/**",)),
    "code": Lane("code", "the rest", ("**",), "ollama"),
    "steps": Lane("steps", "several steps", ("**",), "workflow"),
}
RULES = b"""version: 1
rules:
  - {name: guests, when: {from: contractor}, deny: guests ask a member}
  - name: slack-docs
    when: {lane: docs, from: [member, maintainer], surface: slack}
    allow: {approvals: {count: 2, from: [maintainer]}}
  - {name: sure, when: {lane: code, from: member}, ask: "An hour of GPU. Which lane?"}
  - name: members
    when: {lane: [docs, config, code], from: [member, maintainer]}
    allow: {approvals: {count: 1, from: [maintainer]}}
  - name: workflows
    when: {lane: steps, from: maintainer}
    allow: {approvals: {count: 1, from: [maintainer]}}
"""
PEOPLE = builders.people(ana="member", lee="maintainer", eve="contractor")


def settings(lanes: Mapping[str, Lane] = LANES) -> Settings:
    names = NameList(frozenset(PEOPLE.by_name), BUILT_IN_ROLES | {"contractor"}, frozenset(LANES), frozenset({"web"}))
    policy = RulePolicy(parse_rules(RULES, "policy.yaml", names), PEOPLE, lanes)
    return builders.settings(policy, people=PEOPLE, lanes=lanes)


SETTINGS = settings()


def executor(name: str, problem: Problem | None = None) -> Executor:
    made = FakeExecutor(name, reads=name == "ollama", deterministic=name == "edit", problem=problem)
    made.wants = frozenset({"gpu"})
    return cast("Executor", made)


def executors(*down: str) -> dict[str, Executor]:
    problem = Problem(Kind.UNAVAILABLE, "no_gpu", "no GPU here")
    return {name: executor(name, problem if name in down else None) for name in ("edit", "ollama", "workflow")}


@dataclass
class Workers:
    """A database that holds nothing but living workers, which offer `offers`."""

    offers: tuple[frozenset[str], ...] = ()
    asked: list[Any] = field(default_factory=list)

    async def read(self, work: Any) -> list[frozenset[str]]:
        self.asked.append(work)
        return list(self.offers)


def paths(*names: str) -> Intent:
    return Intent("text", tuple(CreateFile(name, "x") for name in names))


PATH_CLASSES = {
    "one lane": paths("docs/a.md"),
    "two lanes": paths("config/README.md"),
    "spread": paths("docs/a.md", "config/a.yaml"),
    "the rest": paths("src/a.py"),
    "protected everywhere": paths(".github/workflows/x.yml"),
    "protected in a lane": paths("config/prod/a.yaml"),
    "none": ANYTHING,
    "an undo": Intent("undo", revert_of="c" * 40),
    "read by a model": Intent("words", lane="code", read_by="local/m"),
}
origins = st.builds(
    RequestOrigin,
    person=st.sampled_from(["ana", "lee", "eve", "nobody"]),
    surface=st.sampled_from(["terminal", "slack", "github"]),
    repository=st.just("web"),
    lane=st.sampled_from([None, *LANES, "gone"]),
)
intents = st.sampled_from(list(PATH_CLASSES.values()))
downs = st.sets(st.sampled_from(["edit", "ollama", "workflow"])).map(sorted)
livings = st.sampled_from([(), (frozenset({"gpu"}),)])


@given(origins, intents, downs, livings)
def test_the_plan_job_and_explain_give_the_same_answer(origin, intent, down, living):
    have = executors(*down)
    planned = plan_request(SETTINGS, LaneAvailability(have, living), origin, intent)
    preview = RequestPreview(cast("Database", Workers(living)), lambda: SETTINGS, lambda: have, lambda _name: None)  # type: ignore[arg-type,return-value]
    explained = asyncio.run(preview.plan(origin, intent))
    assert explained == planned
    assert explained.decision.reason == planned.decision.reason
    shown = explanation_of(explained)
    assert (shown["effect"], shown["lane"], shown["rule"]) == (
        planned.decision.effect.value, planned.decision.lane, planned.decision.rule
    )  # fmt: skip
    assert (shown["obstacle"] is None) == (planned.problem is None or planned.decision.effect is not Effect.ALLOW)


@given(origins, intents, downs, livings)
def test_a_plan_goes_on_asks_or_says_why_not(origin, intent, down, living):
    availability = LaneAvailability(executors(*down), living)
    plan = plan_request(SETTINGS, availability, origin, intent)
    if plan.question is not None:
        assert plan.problem is None
        assert plan.requirements is None
        named = [
            plan_request(SETTINGS, availability, replace(origin, lane=one), intent) for one in plan.question.options
        ]
        assert all(one.question is None for one in named)
        assert all(one.problem is None for one in named) or all(one.problem is not None for one in named)
    elif plan.problem is None:
        assert plan.decision.effect is Effect.ALLOW
        assert plan.decision.lane is not None
        chosen = plan_request(SETTINGS, availability, replace(origin, lane=plan.decision.lane), intent)
        assert plan.requirements == chosen.requirements
        assert intent.needs_git_alone or availability.can_run(LANES[plan.decision.lane])
    else:
        assert plan.problem.kind is Kind.REFUSED


@given(origins, intents)
def test_where_every_lane_can_run_a_plan_is_what_policy_says(origin, intent):
    plan = plan_request(SETTINGS, LaneAvailability(executors()), origin, intent)
    decision = SETTINGS.policy.decide(plan.request)
    if decision.effect is not Effect.ASK:
        assert plan.decision == decision
        assert (plan.problem is None) == (decision.effect is Effect.ALLOW)
    assert plan_request(SETTINGS, ASSUMED, origin, intent).decision.effect is not Effect.DENY or (
        plan.decision.effect is Effect.DENY
    )


def test_a_lane_that_cannot_run_leaves_the_other_one_chosen():
    origin = RequestOrigin("lee", "terminal", "web")
    asked = plan_request(SETTINGS, LaneAvailability(executors()), origin, ANYTHING)
    assert asked.question is not None
    assert asked.question.options == ("code", "steps")
    plan = plan_request(SETTINGS, LaneAvailability(executors("workflow")), origin, ANYTHING)
    assert (plan.decision.lane, plan.problem) == ("code", None)
    assert plan.decision.reason == "of the lanes that cover it, only code takes it; rule members"
    elsewhere = LaneAvailability(executors("workflow"), (frozenset({"gpu"}),))
    assert plan_request(SETTINGS, elsewhere, origin, ANYTHING).question == asked.question
    nowhere = plan_request(SETTINGS, LaneAvailability(executors("workflow", "ollama")), origin, ANYTHING)
    assert (nowhere.decision.effect, nowhere.decision.reason) == (Effect.DENY, "no GPU here")


def test_a_lane_without_its_executor_is_refused_with_what_it_means_for_the_paths():
    lanes = {"docs": LANES["docs"], "config": replace(LANES["config"], executor="gone")}
    origin = RequestOrigin("ana", "terminal", "web")
    plan = plan_request(settings(lanes), LaneAvailability(executors()), origin, paths("config/a.yaml"))
    assert plan.problem is not None
    assert plan.problem.code == "no_executor"
    where, covers, why = plan.problem.message.split("; ", 2)
    assert where == "config/a.yaml is in no lane you may use now"
    assert covers == "docs covers docs/**, **/*.md"
    assert why == (
        f"{plan.decision.reason}; but for lane config there is no executor gone; there are: edit, ollama, workflow"
    )


def test_every_front_end_reads_texts_into_edits_where_the_executor_makes_edits_by_rule():
    availability = LaneAvailability(executors())
    assert [name for name, lane in LANES.items() if availability.reads_text(lane)] == ["docs", "config"]
    assert availability.reads_text(None)
    assert availability.offer(LANES["code"]).reads
    assert not LaneAvailability(executors("ollama")).offer(LANES["code"]).reads


def test_who_may_use_a_lane_is_asked_of_policy():
    assert people_allowed_in(SETTINGS, "steps") == ["lee"]
    assert people_allowed_in(SETTINGS, "docs") == ["ana", "lee"]
    assert [lane.name for lane in open_lanes(SETTINGS, RequestOrigin("eve", "slack", "web"))] == []


def test_a_missing_parameter_is_asked_for():
    lane = replace(LANES["steps"], parameters=(Parameter("version", describe="which one"),))
    question = parameter_question(lane, {})
    assert question is not None
    assert question.about == "parameter version"
    assert parameter_question(lane, {"version": "1.0"}) is None


def test_what_people_ask_becomes_a_request_to_policy_in_one_place():
    """The tools of policy make some that no one asked: cases, reverse questions, and one of each kind."""
    calls = [
        str(path.relative_to(ROOT))
        for part in ("bot", "core", "lanes")
        for path in sorted((ROOT / part).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "PolicyRequest"
    ]
    assert calls == ["core/rules/planning.py"]
    assert policy_request(RequestOrigin("ana", "slack", "web", "docs")).lane == "docs"


@pytest.mark.parametrize("module", ["planning", "lane_availability"])
def test_planning_knows_no_session_and_no_clock(module):
    tree = ast.parse((ROOT / "core" / "rules" / f"{module}.py").read_text(encoding="utf-8"))
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    pure = ("__future__", "collections.abc", "dataclasses", "typing", "core.model", "core.ports", "core.settings")
    allowed = (*pure, "core.rules.lane_availability")
    assert [name for name in imported if not name.startswith(allowed)] == []
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef | ast.Await)]
