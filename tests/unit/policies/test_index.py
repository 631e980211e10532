"""The compiled policy gives the same decisions and texts as a naive evaluation of every rule."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.model.decision import ApprovalRequirements, PolicyRequest
from core.model.lane import Lane
from core.model.person import People, Person
from policies.policy import RulePolicy
from policies.protected import PROTECTED
from policies.rules import AllowEffect, AskEffect, DenyEffect, Rule, RuleCondition, Rules
from tests.unit.policies.cases import LANES, parsed, policy, request
from tests.unit.policies.naive import NaivePolicy

pytestmark = pytest.mark.law

LANE_NAMES = ("code", "config", "docs", "infra")
NAMES = ("ana", "lee", "eve", "member", "maintainer", "contractor")
WRITES = (
    ("**",), ("docs/**", "**/*.md"), ("config/**", "*.toml"), ("src/**/test_*.py", "a?[!b]/**"), ("**/x/**/*.[a-m]*",),
    ("/README.md",), ("src/*", "src/**/y/z"), ("docs",),
)  # fmt: skip
PROTECTS = ((), ("docs/private/**",), ("**/*.pem", "src/a.py"), ("config",), (".github/**",))
PATHS = (
    "README.md", "docs/a.md", "docs/private/x", "docs", "config/a.yaml", "config/b.md", "src/a.py", "src/y/z",
    "src/x/test_a.py", "ab1/x", "a/x/b/c.md", "K.pem", "key.PEM", "x.toml", "é/ü.md", "a b/c", "docs/\u00a0x",
    ".env", ".GitHub/x", "../x", "a//b", "", "src/.git/x", "a\\b",
)  # fmt: skip


def some(names):
    return st.one_of(st.none(), st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True).map(tuple))


conditions = st.builds(
    RuleCondition,
    people=st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True).map(tuple),
    lanes=some(LANE_NAMES),
    surfaces=some(["terminal", "slack"]),
    repositories=some(["web", "infra"]),
)
effects = st.one_of(
    st.builds(
        lambda count, own: AllowEffect(ApprovalRequirements("named later", count, ("maintainer", "lee"), own)),
        st.integers(1, 3),
        st.booleans(),
    ),
    st.sampled_from([DenyEffect("closed"), DenyEffect("frozen"), AskEffect("Which?"), AskEffect("Sure?")]),
)


@st.composite
def rules_of(draw):
    drawn = draw(st.lists(st.tuples(conditions, effects), max_size=8))
    rules = [Rule(f"r{n}", when, _named(then, f"r{n}")) for n, (when, then) in enumerate(drawn)]
    return Rules(tuple(rules), draw(st.sampled_from(PROTECTS)))


def _named(then, name):
    return AllowEffect(replace(then.requirements, rule=name)) if isinstance(then, AllowEffect) else then


lanes_of = st.dictionaries(
    st.sampled_from(LANE_NAMES), st.tuples(st.sampled_from(WRITES), st.sampled_from(PROTECTS)), max_size=4
).map(lambda drawn: {name: Lane(name, name, write, "edit", protect=held) for name, (write, held) in drawn.items()})
people_of = st.fixed_dictionaries(
    {name: st.sets(st.sampled_from(["member", "maintainer", "contractor"])) for name in ("ana", "lee", "eve")}
).map(lambda roles: People({name: Person(name, frozenset(held)) for name, held in roles.items()}))
requests = st.builds(
    PolicyRequest,
    person=st.sampled_from(["ana", "lee", "eve", "nobody"]),
    surface=st.sampled_from(["terminal", "slack", "web"]),
    repository=st.sampled_from(["web", "infra", ""]),
    paths=st.lists(st.sampled_from(PATHS), max_size=4).map(tuple),
    lane=st.one_of(st.none(), st.none(), st.sampled_from([*LANE_NAMES, "nope"])),
    deterministic=st.booleans(),
    suggested=st.one_of(st.none(), st.sampled_from(LANE_NAMES)),
    undoes=st.booleans(),
    edited_by_rule=st.frozensets(st.sampled_from(LANE_NAMES)),
)


@settings(max_examples=200)
@given(rules_of(), people_of, lanes_of, requests)
def test_the_index_decides_and_explains_as_every_rule_asked_in_turn(rules, people, lanes, asked):
    ours, naive = RulePolicy(rules, people, lanes), NaivePolicy(rules, people, lanes).decide(asked)
    decision = ours.decide(asked)
    assert decision.effect is naive.effect
    assert decision.lane == naive.lane
    assert decision.rule == (naive.rule.name if naive.rule else None)
    assert decision.requirements == naive.requirements
    assert decision.question == naive.question
    assert decision.reason == naive.reason
    assert ours.trace(asked) == naive.trace
    if asked.lane is not None:
        assert ours.requirements_of(asked) == naive.requirements


@given(rules_of(), people_of, lanes_of, requests)
@example(Rules(()), People({}), {}, request(person="nobody"))
def test_the_open_lanes_are_those_that_a_rule_opens_whatever_the_paths(rules, people, lanes, asked):
    views = NaivePolicy(rules, people, lanes).decide(replace(asked, paths=())).views
    assert RulePolicy(rules, people, lanes).open_lanes(asked) == tuple(view.name for view in views if view.open)


def test_a_decision_writes_no_reason_before_it_is_read():
    decision = policy().decide(request("README.md"))
    before = decision.why
    assert callable(before)
    assert decision.reason == before()
    assert decision.because("another").reason == "another"
    assert decision.because("another") == decision


def test_the_digest_is_spelled_as_the_first_version_spelled_it():
    """So an upgrade changes no digest: an allowing rule's requirements are called ``terms`` there."""
    text = """protect: ["secrets/**"]
rules:
  - {name: guests, when: {from: contractor}, deny: "no"}
  - {name: sure, when: {lane: code, from: member, repo: web, surface: [terminal, slack]}, ask: "Which lane?"}
  - name: all
    when: {from: [ana, member]}
    allow: {approvals: {count: 2, from: [maintainer, lee]}, remind: 4h, limits: {files: 5}}
"""
    rules = parsed(f"version: 1\n{text}").rules
    requirements = rules[2].requirements
    assert requirements is not None
    effects = [{"reason": "no"}, {"question": "Which lane?"}, {"terms": asdict(requirements)}]
    spelled = {
        "domain": "countersign-policy-v1",
        "rules": [
            {"name": rule.name, "when": asdict(rule.when), "then": then, "line": None, "does": does}
            for rule, then, does in zip(rules, effects, ("DenyEffect", "AskEffect", "AllowEffect"), strict=True)
        ],
        "protect": [*PROTECTED, "secrets/**"],
        "lanes": {
            name: {key: "" if key == "source" else value for key, value in asdict(lane).items() if key != "everywhere"}
            for name, lane in LANES.items()
        },
    }
    canonical = json.dumps(spelled, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    assert policy(text).digest == hashlib.sha256(canonical.encode()).hexdigest()
