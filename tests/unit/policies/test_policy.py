"""Decisions: which lane, by which rule, with which requirements, and why (security.md 97)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.model.decision import Effect
from core.model.errors import ConfigError
from core.model.lane import Lane
from policies.explain import explain
from tests.builders import people
from tests.unit.policies.cases import ALLOW, CREW, LANES, decide, policy, request

pytestmark = pytest.mark.law

STARTER = policy()
TWO = "allow: {approvals: {count: 2, from: [maintainer]}}"


@pytest.mark.parametrize(
    ("paths", "lane", "rule"),
    [
        (["config/app.yaml"], "config", "config-changes"),
        (["pyproject.toml"], "config", "config-changes"),
        (["README.md"], "docs", "docs-changes"),
        (["docs/x.yaml"], "docs", "docs-changes"),
        (["docs/a.md", "README.md"], "docs", "docs-changes"),
        (["src/a.py"], "code", "code-changes"),
        (["src/a.py", "README.md"], "code", "code-changes"),
        (["web/app.toml"], "code", "code-changes"),
    ],
)
def test_the_starter_policy_finds_the_lane(paths, lane, rule):
    decision = decide(STARTER, *paths)
    assert (decision.effect, decision.lane, decision.rule) == (Effect.ALLOW, lane, rule), decision
    assert decision.requirements is not None
    assert decision.requirements.count == 1
    assert f"rule {rule} lets ana (member) use it with 1 approval by maintainer, not their own" in decision.reason
    assert decision.policy_digest == STARTER.digest
    assert len(STARTER.digest) == 64


def test_a_path_two_equal_lanes_cover_is_asked_about():
    decision = decide(STARTER, "config/README.md")
    assert decision.effect is Effect.ASK
    assert decision.question is not None
    assert (decision.question.about, decision.question.options) == ("lane", ("config", "docs"))
    assert decide(STARTER, "config/README.md", lane="docs").lane == "docs"


def test_a_request_that_needs_a_model_goes_to_a_lane_that_has_one():
    assert decide(STARTER, deterministic=False).lane == "code"
    assert decide(STARTER, deterministic=False, lane="docs").lane == "docs"


@pytest.mark.parametrize(
    "path", [".github/workflows/ci.yml", ".GitHub/x", "docs/CODEOWNERS", ".env", "config/.gitattributes"]
)
@pytest.mark.parametrize("lane", [None, "docs", "code"])
def test_a_protected_path_is_denied_with_path_and_pattern(path, lane):
    decision = decide(STARTER, "README.md", path, lane=lane)
    assert decision.effect is Effect.DENY
    assert path in decision.reason
    assert "may not be changed in any lane (by " in decision.reason


@pytest.mark.parametrize(
    "path",
    [
        "src/../.github/workflows/x.yml",
        "../x",
        "/etc/passwd",
        "./a",
        "a//b",
        "a\\b",
        "a\u200bb",
        "",
        "x\ny",
        ".git/config",
        "\ud800",
    ],
)
def test_a_path_that_is_none_is_denied_before_any_matching(path):
    decision = decide(STARTER, path)
    assert decision.effect is Effect.DENY
    assert decision.lane is None
    assert decision.requirements is None


def test_paths_that_no_lane_covers_are_denied_with_what_the_person_may_use():
    lanes = {k: v for k, v in LANES.items() if k != "code"}
    law = policy(f"rules:\n  - name: words\n    when: {{lane: docs, from: member}}\n    {ALLOW}\n", lanes=lanes)
    decision = decide(law, "src/a.py")
    assert decision.effect is Effect.DENY
    assert decision.reason == "src/a.py is in no lane you may use; docs covers docs/**, **/*.md"
    named = decide(law, "src/a.py", lane="docs")
    assert named.reason.startswith("lane docs does not cover src/a.py")


def test_paths_spread_over_two_lanes_are_to_be_asked_for_separately():
    lanes = {k: v for k, v in LANES.items() if k != "code"}
    rules = "".join(f"  - name: {n}\n    when: {{lane: {n}, from: member}}\n    {ALLOW}\n" for n in lanes)
    decision = decide(policy("rules:\n" + rules, lanes=lanes), "README.md", "config/a.yaml")
    assert decision.effect is Effect.DENY
    assert decision.reason.endswith("ask in separate requests: README.md in docs, config/a.yaml in config")


def test_what_no_rule_matches_is_denied():
    for law, others in (
        (STARTER, {"person": "eve"}),
        (policy(f"rules:\n  - name: one\n    when: {{from: member, repo: infra}}\n    {ALLOW}\n"), {}),
        (policy(f"rules:\n  - name: one\n    when: {{from: member, surface: slack}}\n    {ALLOW}\n"), {}),
        (policy(f"rules:\n  - name: one\n    when: {{from: lee}}\n    {ALLOW}\n"), {}),
    ):
        decision = decide(law, "README.md", **others)
        assert decision.effect is Effect.DENY
        assert "no rule lets" in decision.reason


def test_strangers_and_unknown_lanes_are_denied():
    assert "no person called 'mallory'" in decide(STARTER, "README.md", person="mallory").reason
    assert "no lane called 'nope'" in decide(STARTER, "README.md", lane="nope").reason


def test_the_first_rule_that_matches_decides():
    closed = "  - {name: closed, when: {lane: docs, from: member}, deny: the docs are frozen}\n"
    opened = f"  - name: opened\n    when: {{from: member}}\n    {ALLOW}\n"
    first = decide(policy("rules:\n" + closed + opened), "README.md", lane="docs")
    assert (first.effect, first.rule) == (Effect.DENY, "closed")
    assert first.reason == "the docs are frozen (rule closed)"
    assert decide(policy("rules:\n" + opened + closed), "README.md", lane="docs").rule == "opened"


def test_a_rule_names_people_and_roles():
    law = policy(f"rules:\n  - name: one\n    when: {{from: [ana, maintainer]}}\n    {ALLOW}\n")
    assert [decide(law, "docs/a", lane="docs", person=p).effect for p in ("ana", "lee", "eve")] == [
        Effect.ALLOW,
        Effect.ALLOW,
        Effect.DENY,
    ]


def test_of_two_lanes_that_cover_the_stricter_is_taken():
    law = policy(
        f"rules:\n  - name: loose\n    when: {{lane: docs, from: member}}\n    {ALLOW}\n"
        f"  - name: tight\n    when: {{lane: config, from: member}}\n    {TWO}\n"
    )
    decision = decide(law, "config/README.md")
    assert (decision.lane, decision.rule) == ("config", "tight")
    assert "more strictly than docs" in decision.reason


def test_a_rule_that_asks_is_answered_by_naming_the_lane():
    law = policy(
        'rules:\n  - {name: sure, when: {lane: code, from: member}, ask: "An hour of GPU. Which lane?"}\n'
        f"  - name: all\n    when: {{from: member}}\n    {ALLOW}\n"
    )
    asked = decide(law, "src/a.py")
    assert asked.effect is Effect.ASK
    assert asked.rule == "sure"
    assert asked.requirements is None
    assert asked.question is not None
    assert asked.question.options == ("code",)
    assert asked.question.text == "An hour of GPU. Which lane?"
    answered = decide(law, "src/a.py", lane="code")
    assert (answered.effect, answered.rule) == (Effect.ALLOW, "all")
    assert decide(law, "config/a.yaml").lane == "config"


def test_what_a_lane_protects_is_denied_in_that_lane_only():
    lanes = {**LANES, "config": replace(LANES["config"], protect=("config/prod/**",))}
    law = policy(lanes=lanes)
    named = decide(law, "config/prod/db.yaml", lane="config")
    assert named.effect is Effect.DENY
    assert named.reason == "config/prod/db.yaml may not be changed in lane config (by config/prod/**)"
    assert decide(law, "config/prod/db.yaml").lane == "code"


def test_what_the_policy_protects_is_denied_in_every_lane():
    law = policy(f"protect: [config/prod]\nrules:\n  - name: one\n    when: {{from: member}}\n    {ALLOW}\n")
    assert "by config/prod)" in decide(law, "config/PROD/db.yaml").reason


def test_terms_are_live_and_vanish_when_the_request_would_be_denied_now():
    live = request("README.md", lane="docs")
    terms = STARTER.requirements_of(live)
    assert terms is not None
    assert terms.rule == "docs-changes"
    closed = policy("rules:\n  - {name: closed, when: {from: member}, deny: closed}\n")
    assert closed.requirements_of(live) is None
    assert STARTER.requirements_of(request("README.md")) is None
    assert STARTER.requirements_of(request("README.md", lane="docs", person="gone")) is None
    assert STARTER.requirements_of(request(lane="docs")) == terms


def test_the_digest_names_what_the_policy_says_and_nothing_else():
    text = f"rules:\n  - name: one\n    when: {{from: member}}\n    {ALLOW}\n"
    law = policy(text)
    assert law.digest == policy("# a comment\n" + text).digest
    assert law.digest == policy(text, who=people(ana="member", lee="maintainer")).digest
    assert law.digest != policy(text.replace("count: 1", "count: 2")).digest
    assert law.digest != policy("protect: [x]\n" + text).digest
    wider = {**LANES, "docs": replace(LANES["docs"], write=("**/*.md",))}
    assert law.digest != policy(text, lanes=wider).digest


@pytest.mark.parametrize("write", [("src/",), ("../x/**",), ("!docs/**",), ()])
def test_a_lane_with_globs_that_float_stops_the_policy(write):
    with pytest.raises(ConfigError, match=r"lanes/bad\.yaml.*write"):
        policy(lanes={**LANES, "bad": Lane("bad", "bad", write, "edit", source="lanes/bad.yaml")})


def test_the_trace_tells_of_every_rule_and_every_lane():
    law = policy(
        "rules:\n  - {name: guests, when: {from: contractor}, deny: guests ask a member}\n"
        f"  - name: tight\n    when: {{lane: config, from: member}}\n    {TWO}\n"
        f"  - name: all\n    when: {{from: member}}\n    {ALLOW}\n"
    )
    decision = decide(law, "config/a.yaml")
    text = explain(decision, law.trace(request("config/a.yaml")))
    assert text.startswith("ALLOWED in lane config by rule tight: lane config covers config/a.yaml")
    for line in (
        "rule guests: does not match: it is for contractor, and ana (member) is not",
        "rule tight: decides config: allow with 2 of maintainer",
        "rule all: decides code, docs: allow with 1 of maintainer; for config a rule above decided",
        "lane code: open by rule all, but has ollama, and the request needs an executor that makes known edits",
        "lane config: chosen by rule tight",
        "lane docs: open by rule all, but does not cover config/a.yaml",
    ):
        assert f"  {line}" in text.splitlines(), text


@pytest.mark.parametrize("paths", [[], ["README.md"], ["config/README.md"], [".env"], ["src/a.py", "x.toml"], ["../x"]])
@pytest.mark.parametrize("person", ["ana", "eve", "lee", "nobody"])
def test_explain_and_decide_agree(paths, person):
    decision = decide(STARTER, *paths, person=person)
    lines = STARTER.trace(request(*paths, person=person))
    text = explain(decision, lines)
    assert decision.reason in text
    assert lines
    chosen = [line for line in lines if ": chosen by rule" in line]
    if decision.effect is Effect.ALLOW:
        assert chosen == [f"lane {decision.lane}: chosen by rule {decision.rule}"]
    else:
        assert chosen == []
        assert decision.requirements is None
    assert CREW.get(person) is not None or "countersign.yaml" in decision.reason
