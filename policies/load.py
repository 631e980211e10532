"""Loads a policy file as `Rules`; raises `ConfigError` with the file, line and key of an error.

version: 1
protect: ["secrets/**"]              # optional: globs that no lane may change, in addition to the built-in ones
rules:                               # the first rule that matches decides; without a match the request is denied
  - name: config-changes
    when: {lane: config, from: [member, maintainer], surface: terminal, repo: web}   # only `from` is required
    allow:                           # exactly one of allow, deny, ask
      approvals: {count: 1, from: [maintainer]}
      self_approve: false            # whether the requester's own approval counts
      expires: 14d                   # how long a staged change waits: m, h, d, w
      remind: 4h                     # how often people are reminded; without it, never
      escalate: {after: 1d, to: [owner]}   # who else may approve after that time
      merge:                         # who may merge; without it, the approvers
        from: [maintainer]
        auto: true                   # merge once the checks are green; without it, on request
        method: squash               # or merge (the default) or rebase
        checks: [{name: test, app: 15368}, {name: deploy-preview}]   # must be green; without app: a commit status
      surfaces: [terminal]           # where approvals must be given; without it, anywhere
      step_up: passkey               # count only approvals that the approver's passkey signs, which is on the pages;
                                     # or totp: given there with a code of their authenticator app, or a passkey
      limits: {files: 10}            # stricter than the lane's, never looser
  - {name: no-bots, when: {from: bot}, deny: "a reason people will read"}
  - {name: say-it, when: {from: member, lane: code}, ask: "a question; naming the lane answers it"}
"""

from __future__ import annotations

import difflib
import re
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from core.model.decision import ApprovalRequirements, MergeRequirements, RequiredCheck
from core.model.errors import UsageError
from core.model.lane import Limits
from core.model.person import check_name
from core.model.turn import WEB
from core.strict_yaml import KeyPath, StrictModel, Word, WordList, YamlDocument, load, loads, validate
from policies import globs
from policies.rules import AllowEffect, AskEffect, DenyEffect, NameList, Rule, RuleCondition, Rules

UNBOUNDED: Final = 2**53 - 1
"""A limit without effect: the largest integer that every JSON reader preserves."""

MAX_EXPIRES_S: Final = 366 * 24 * 3600
_UNITS_S: Final = {"m": 60, "h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}
_DURATION: Final = re.compile(r"([1-9][0-9]{0,5})([mhdw])")
Sentence = Annotated[str, Field(min_length=1, max_length=500)]
Bound = Annotated[int, Field(ge=1, lt=UNBOUNDED)]


class RawWhen(StrictModel):
    """The ``when`` of a rule."""

    people: WordList = Field(alias="from")
    lane: WordList | None = None
    surface: WordList | None = None
    repo: WordList | None = None


class RawApprovals(StrictModel):
    """The ``approvals`` of a rule: how many, and by whom."""

    count: Annotated[int, Field(ge=1, le=100)]
    people: WordList = Field(alias="from")


class RawCheck(StrictModel):
    """A check that must be green before a merge."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    app: Annotated[int, Field(ge=1)] | None = None


class RawMerge(StrictModel):
    """The ``merge`` of a rule: who may merge, and how."""

    people: WordList | None = Field(default=None, alias="from")
    auto: bool = False
    method: Literal["merge", "squash", "rebase"] = "merge"
    checks: tuple[RawCheck, ...] = ()


class RawEscalate(StrictModel):
    """The ``escalate`` of a rule: who else may approve, and when."""

    after: Word
    to: WordList


class RawLimits(StrictModel):
    """The ``limits`` of a rule, in the units of `core.model.lane.Limits`."""

    files: Bound = UNBOUNDED
    bytes: Bound = UNBOUNDED
    file_bytes: Bound = UNBOUNDED
    wall_s: Bound = UNBOUNDED
    memory_mib: Bound = UNBOUNDED
    processes: Bound = UNBOUNDED
    log_bytes: Bound = UNBOUNDED


class RawAllow(StrictModel):
    """The ``allow`` of a rule."""

    approvals: RawApprovals
    self_approve: bool = False
    expires: Word = "14d"
    remind: Word | None = None
    escalate: RawEscalate | None = None
    merge: RawMerge | None = None
    surfaces: WordList | None = None
    step_up: Literal["passkey", "totp"] | None = None
    limits: RawLimits | None = None


class RawRule(StrictModel):
    """A rule as written in the file."""

    name: Word
    when: RawWhen
    allow: RawAllow | None = None
    deny: Sentence | None = None
    ask: Sentence | None = None


class RawPolicy(StrictModel):
    """The content of a policy file."""

    version: Literal[1]
    rules: tuple[RawRule, ...]
    protect: WordList | None = None


def load_rules(path: Path, names: NameList) -> Rules:
    """The policy in the file at `path`; raises `ConfigError`, also for names that are not in `names`."""
    return _rules(load(path), names)


def parse_rules(raw: bytes, path: Path | str, names: NameList) -> Rules:
    """The policy in `raw`, called `path` in errors; raises `ConfigError`."""
    return _rules(loads(raw, path), names)


def starter_policy() -> str:
    """The text of the starter policy that `countersign init` writes."""
    return resources.files("policies").joinpath("defaults", "policy.yaml").read_text(encoding="utf-8")


def _rules(document: YamlDocument, names: NameList) -> Rules:
    raw = validate(document, RawPolicy)
    _refuse_empty(document, document.tree, ())
    if both := sorted(names.people & names.roles):
        message = f"{both[0]!r} is both a person and a role, so a rule cannot tell them apart"
        raise document.error((), message, "Rename one of them in countersign.yaml.")
    for index, pattern in enumerate(raw.protect or ()):
        if problem := globs.check(pattern):
            at: KeyPath = ("protect", index) if isinstance(document.tree["protect"], list) else ("protect",)
            raise document.error(at, f"the pattern {pattern!r} {problem}")
    line_by_name: dict[str, int | None] = {}
    rules = []
    for index, rule in enumerate(raw.rules):
        at = ("rules", index)
        if rule.name in line_by_name:
            message = f"another rule is called {rule.name!r}, on line {line_by_name[rule.name]}"
            raise document.error((*at, "name"), message, "Give each rule its own name.")
        line_by_name[rule.name] = document.line_of(at)
        rules.append(_rule(document, at, rule, names))
    return Rules(tuple(rules), raw.protect or (), document.path)


def _refuse_empty(document: YamlDocument, node: Any, at: KeyPath) -> None:
    """Raise `ConfigError` for a null, an empty list or an empty mapping anywhere, which have no meaning."""
    if node is None or node in ([], {}, ""):
        raise document.error(at, "is empty", "Give it a value, or delete the key.")
    members = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in members:
        _refuse_empty(document, value, (*at, key))


def _rule(document: YamlDocument, at: KeyPath, raw: RawRule, names: NameList) -> Rule:
    try:
        check_name(raw.name, "the rule name")
    except UsageError as error:
        raise document.error((*at, "name"), error.problem.message) from error
    when = RuleCondition(raw.when.people, raw.when.lane, raw.when.surface, raw.when.repo)
    _check_names(document, (*at, "when", "from"), when.people, names.people | names.roles, "person or role")
    _check_names(document, (*at, "when", "lane"), when.lanes, names.lanes, "lane")
    _check_names(document, (*at, "when", "surface"), when.surfaces, names.surfaces, "surface")
    _check_names(document, (*at, "when", "repo"), when.repositories, names.repositories, "repository")
    line = document.line_of(at)
    outcomes = [key for key in ("allow", "deny", "ask") if getattr(raw, key) is not None]
    if len(outcomes) != 1:
        present = " and ".join(outcomes) or "none"
        raise document.error(at, f"rule {raw.name} has {present}; it must have one of allow, deny, ask")
    if raw.deny is not None:
        return Rule(raw.name, when, DenyEffect(raw.deny), line)
    if raw.ask is not None:
        return Rule(raw.name, when, AskEffect(raw.ask), line)
    assert raw.allow is not None
    return Rule(raw.name, when, AllowEffect(_requirements(document, (*at, "allow"), raw.name, raw.allow, names)), line)


def _requirements(
    document: YamlDocument, at: KeyPath, rule: str, raw: RawAllow, names: NameList
) -> ApprovalRequirements:
    who = names.people | names.roles
    merge = raw.merge or RawMerge()
    merge_from = merge.people or ()
    escalate_to = raw.escalate.to if raw.escalate else ()
    _check_names(document, (*at, "approvals", "from"), raw.approvals.people, who, "person or role")
    _check_names(document, (*at, "merge", "from"), merge_from, who, "person or role")
    _check_names(document, (*at, "surfaces"), raw.surfaces, names.surfaces, "surface")
    _check_names(document, (*at, "escalate", "to"), escalate_to, who, "person or role")
    if raw.step_up and raw.surfaces and WEB not in raw.surfaces:
        mend = f"Add {WEB} to `surfaces`, or delete one of the two keys."
        raise document.error((*at, "step_up"), "asks for a proof that people give on the pages only", mend)
    expires_s = _seconds(document, (*at, "expires"), raw.expires)
    return ApprovalRequirements(
        rule=rule,
        count=raw.approvals.count,
        approvers=raw.approvals.people,
        self_approve=raw.self_approve,
        expires_s=expires_s,
        merge_from=merge_from,
        surfaces=raw.surfaces or (),
        limits=Limits(**raw.limits.model_dump()) if raw.limits else None,
        remind_s=_within(document, (*at, "remind"), raw.remind, expires_s) if raw.remind else 0,
        escalate_s=_within(document, (*at, "escalate", "after"), raw.escalate.after, expires_s) if raw.escalate else 0,
        escalate_to=escalate_to,
        merge=MergeRequirements(merge.auto, merge.method, tuple(RequiredCheck(c.name, c.app) for c in merge.checks)),
        step_up=raw.step_up or "",
    )


def _within(document: YamlDocument, at: KeyPath, text: str, expires_s: int) -> int:
    """A duration in seconds; raises `ConfigError` unless it is shorter than the expiry."""
    seconds = _seconds(document, at, text)
    if seconds >= expires_s:
        raise document.error(
            at, f"{text!r} is not shorter than `expires`", "Make it shorter, or make `expires` longer."
        )
    return seconds


def _seconds(document: YamlDocument, at: KeyPath, text: str) -> int:
    match = _DURATION.fullmatch(text)
    seconds = int(match[1]) * _UNITS_S[match[2]] if match else 0
    if not 0 < seconds <= MAX_EXPIRES_S:
        raise document.error(at, f"{text!r} is not a duration up to 366d", "Write for example 90m, 12h, 14d or 2w.")
    return seconds


def _check_names(
    document: YamlDocument, at: KeyPath, values: tuple[str, ...] | None, known: frozenset[str], noun: str
) -> None:
    """Raise `ConfigError` for a name that is not `known` or that is repeated."""
    for index, name in enumerate(values or ()):
        key = (*at, index) if (*at, index) in document.lines else at
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            mend = f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(sorted(known)) or 'none'}."
            raise document.error(key, f"there is no {noun} called {name!r}", mend)
        if name in (values or ())[:index]:
            raise document.error(key, f"{name!r} is listed twice", "Delete one of them.")
