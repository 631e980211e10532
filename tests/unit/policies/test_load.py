"""Loading a policy: nothing defaults to allow, and every error names file, line and key (security.md 133-137)."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.model.decision import ApprovalRequirements
from core.model.errors import ConfigError
from core.model.lane import Limits
from policies.load import UNBOUNDED, load_rules, starter_policy
from policies.rules import AllowEffect, warnings
from tests.builders import people
from tests.unit.policies.cases import ALLOW, CREW, names, parsed

pytestmark = pytest.mark.law

RULE = "version: 1\nrules:\n  - name: one\n    when: {lane: docs, from: member}\n    "


def refused(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parsed(text)
    assert str(caught.value).startswith("policy.yaml:")
    return caught.value


def test_the_starter_policy_loads_and_has_nothing_to_warn_of():
    rules = parsed(starter_policy())
    assert [r.name for r in rules.rules] == ["docs-changes", "config-changes", "code-changes"]
    for rule in rules.rules:
        assert isinstance(rule.then, AllowEffect)
        terms = rule.then.requirements
        assert (terms.count, terms.approvers, terms.self_approve) == (1, ("maintainer",), False)
        assert terms.merge_from == ("maintainer",)
    assert warnings(rules, people(ana="member", lee="maintainer", max="maintainer")) == []


def test_a_rule_can_be_put_on_top_of_the_starter_by_its_first_line():
    head, _, tail = starter_policy().partition("rules:\n")
    text = f"{head}rules:\n  - name: mine\n    when: {{lane: code, from: [member, maintainer]}}\n    {ALLOW}\n{tail}"
    assert parsed(text).rules[0].name == "mine"


def test_every_key_of_a_rule_arrives():
    rules = parsed(
        "version: 1\nprotect: ['secrets/**']\nrules:\n  - name: one\n"
        "    when: {lane: [docs, code], from: [ana, member], surface: telegram, repo: [web, infra]}\n"
        "    allow: {approvals: {count: 2, from: [maintainer, ana]}, self_approve: true, expires: 2w,\n"
        "            merge: {from: lee}, surfaces: [terminal, web], limits: {files: 3}}\n"
    )
    rule = rules.rules[0]
    assert rules.protect == ("secrets/**",)
    assert rule.line == 4
    assert rule.when.lanes == ("docs", "code")
    assert rule.when.surfaces == ("telegram",)
    assert isinstance(rule.then, AllowEffect)
    terms = rule.then.requirements
    assert (terms.count, terms.approvers, terms.self_approve) == (2, ("maintainer", "ana"), True)
    assert (terms.expires_s, terms.merge_from, terms.surfaces) == (14 * 86400, ("lee",), ("terminal", "web"))
    assert terms.limits is not None
    assert terms.limits.files == 3
    assert Limits(bytes=5).tightened(terms.limits) == Limits(files=3, bytes=5)
    assert terms.limits.bytes == UNBOUNDED


@pytest.mark.parametrize(
    ("text", "key", "line", "says"),
    [
        ("version: 1\nrulez: []\n", "rulez", 2, "'rules'"),
        ("version: 2\nrules: [a]\n", "version", 1, "1"),
        ("rules: [a]\n", "version", 1, "missing"),
        ("version: 1\nrules: []\n", "rules", 2, "empty"),
        ("version: 1\nrules:\n", "rules", 2, "empty"),
        (RULE + ALLOW.replace("approvals", "aprovals"), "rules[0].allow.aprovals", 5, "'approvals'"),
        (RULE + "allow: {aprovers: [lee]}", "rules[0].allow.aprovers", 5, "unknown key"),
        (RULE + "allow: {}", "rules[0].allow.approvals", 5, "missing"),
        (RULE + "allow: {approvals: {count: 0, from: [maintainer]}}", "rules[0].allow.approvals.count", 5, "greater"),
        (RULE + "allow: {approvals: {count: -1, from: lee}}", "rules[0].allow.approvals.count", 5, "greater"),
        (RULE + "allow: {approvals: {count: '1', from: lee}}", "rules[0].allow.approvals.count", 5, "whole number"),
        (RULE + "allow: {approvals: {count: 1, from: []}}", "rules[0].allow.approvals.from", 5, "empty"),
        (RULE + "allow: {approvals: {count: 1}}", "rules[0].allow.approvals.from", 5, "missing"),
        (RULE + "allow: {approvals: {count: 1, from: leee}}", "rules[0].allow.approvals.from", 5, "'lee'"),
        (RULE + "allow: {approvals: {count: 1, from: [lee, lee]}}", "rules[0].allow.approvals.from[1]", 5, "twice"),
        (
            RULE + "allow: {approvals: {count: 1, from: lee}, self_approve: no}",
            "rules[0].allow.self_approve",
            5,
            "true or false",
        ),
        (RULE + "allow: {approvals: {count: 1, from: lee}, expires: forever}", "rules[0].allow.expires", 5, "14d"),
        (RULE + "allow: {approvals: {count: 1, from: lee}, expires: 0d}", "rules[0].allow.expires", 5, "14d"),
        (RULE + "allow: {approvals: {count: 1, from: lee}, expires: 999999d}", "rules[0].allow.expires", 5, "366d"),
        (RULE + "allow: {approvals: {count: 1, from: lee}, merge: null}", "rules[0].allow.merge", 5, "empty"),
        (RULE + "allow: {approvals: {count: 1, from: lee}, limits: {}}", "rules[0].allow.limits", 5, "empty"),
        (
            RULE + "allow: {approvals: {count: 1, from: lee}, limits: {file: 1}}",
            "rules[0].allow.limits.file",
            5,
            "'files'",
        ),
        (
            RULE + "allow: {approvals: {count: 1, from: lee}, auto_merge: true}",
            "rules[0].allow.auto_merge",
            5,
            "unknown",
        ),
        (RULE + "deny:", "rules[0].deny", 5, "empty"),
        (RULE + "deny: x\n    ask: why", "rules[0]", 3, "deny and ask"),
        (RULE + "# nothing", "rules[0]", 3, "one of allow, deny, ask"),
        (
            "version: 1\nrules:\n  - name: one\n    when: {lane: docs}\n    deny: x\n",
            "rules[0].when.from",
            4,
            "missing",
        ),
        (
            "version: 1\nrules:\n  - name: one\n    when: {from: member, lane: dosc}\n    deny: x\n",
            "rules[0].when.lane",
            4,
            "'docs'",
        ),
        (
            "version: 1\nrules:\n  - name: one\n    when: {from: member, repo: wen}\n    deny: x\n",
            "rules[0].when.repo",
            4,
            "'web'",
        ),
        (
            "version: 1\nrules:\n  - name: one\n    when: {from: member, surface: irc}\n    deny: x\n",
            "rules[0].when.surface",
            4,
            "surface",
        ),
        (
            "version: 1\nrules:\n  - name: one\n    when: {from: member, paths: ['**']}\n    deny: x\n",
            "rules[0].when.paths",
            4,
            "unknown key",
        ),
        (
            "version: 1\nrules:\n  - name: one\n    when: {from: member, lane: null}\n    deny: x\n",
            "rules[0].when.lane",
            4,
            "empty",
        ),
        ("version: 1\nrules:\n  - name: a b\n    when: {from: member}\n    deny: x\n", "rules[0].name", 3, "rule name"),
        (RULE + "deny: x\n  - name: one\n    when: {from: member}\n    deny: x\n", "rules[1].name", 6, "another rule"),
        ("version: 1\nprotect: ['a', 'src/']\nrules: [a]\n", "rules[0]", 3, "mapping"),
        (
            "version: 1\nprotect: ['a', 'src/']\nrules:\n  - {name: nn, when: {from: member}, deny: x}\n",
            "protect[1]",
            2,
            "src/**",
        ),
        ("version: 1\nprotect:\nrules:\n  - {name: nn, when: {from: member}, deny: x}\n", "protect", 2, "empty"),
    ],
)
def test_a_wrong_policy_is_told_by_line_and_key(text, key, line, says):
    error = refused(text)
    assert (error.key, error.line) == (key, line), str(error)
    assert says in str(error)


def test_a_missing_policy_is_a_configuration_error(tmp_path):
    with pytest.raises(ConfigError, match=r"policy\.yaml"):
        load_rules(tmp_path / "policy.yaml", names())


def test_a_name_that_is_a_person_and_a_role_is_refused():
    with pytest.raises(ConfigError, match="a person and a role"):
        parsed(starter_policy(), people(maintainer="member"))


@given(
    st.text("abcdefghijklmnop_", min_size=1, max_size=12),
    st.sampled_from(["top", "rule", "when", "allow", "approvals"]),
)
@example("people", "when")
@example("people", "approvals")
def test_unknown_keys_are_always_refused(key, place):
    known = {
        "version",
        "rules",
        "protect",
        "name",
        "when",
        "allow",
        "deny",
        "ask",
        "from",
        "lane",
        "surface",
        "repo",
        "count",
        "approvals",
        "self_approve",
        "expires",
        "merge",
        "surfaces",
        "limits",
        "step_up",
    }
    if key in known or key in {"n", "on", "no", "escalate", "remind"}:
        return
    more = {place: f", {key}: 1"}
    text = (
        f"{{version: 1{more.get('top', '')}, rules: [{{name: one{more.get('rule', '')}, when: {{from: member"
        f"{more.get('when', '')}}}, allow: {{approvals: {{count: 1, from: lee{more.get('approvals', '')}}}"
        f"{more.get('allow', '')}}}}}]}}"
    )
    assert refused(text).key.rpartition(".")[2] == key


def test_a_rule_that_can_never_be_satisfied_is_warned_of():
    rules = parsed(RULE + "allow: {approvals: {count: 3, from: [maintainer]}}")
    (warning,) = warnings(rules, CREW)
    assert "policy.yaml:3: rule one can never be satisfied for requests by anyone" in warning


def test_who_is_stuck_without_their_own_approval_is_named():
    rules = parsed(
        "version: 1\nrules:\n  - name: one\n    when: {from: [member, maintainer]}\n"
        "    allow: {approvals: {count: 2, from: [maintainer]}}\n"
    )
    (warning,) = warnings(rules, CREW)
    assert "requests by lee, max:" in warning
    assert "no one approves their own" in warning


def test_rules_for_nobody_and_rules_never_reached_are_warned_of():
    rules = parsed(
        "version: 1\nrules:\n  - {name: all, when: {from: [member, contractor]}, deny: closed}\n"
        "  - {name: late, when: {from: member, lane: docs}, deny: never}\n"
        "  - {name: idle, when: {from: maintainer}, deny: idle}\n"
    )
    told = warnings(rules, people(ana="member"))
    assert any("rule late is never reached: rule all" in w for w in told)
    assert any("rule idle matches no one" in w for w in told)


def test_the_policy_does_not_load_the_secret_scanners():
    program = "import sys, policies.policy, policies.load; print(sorted({'detect_secrets', 're2'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == "[]"


def test_a_step_up_is_a_passkey_or_a_code_or_an_error_that_says_so():
    allow = "allow: {approvals: {count: 1, from: [maintainer]}, step_up: "
    assert _terms(allow + "passkey}").step_up == "passkey"
    assert _terms(allow + "totp}").step_up == "totp"
    for value in ("touch", "true", "[passkey]", "''", "null"):
        assert refused(RULE + allow + value + "}").key.endswith("step_up"), value
    elsewhere = refused(RULE + allow + "passkey, surfaces: [slack]}")
    assert "on the pages only" in str(elsewhere)
    assert _terms(allow + "passkey, surfaces: [slack, web]}").surfaces == ("slack", "web")


def _terms(allow: str) -> ApprovalRequirements:
    (rule,) = parsed(RULE + allow).rules
    assert isinstance(rule.then, AllowEffect)
    return rule.then.requirements
