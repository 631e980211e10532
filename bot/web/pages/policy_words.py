"""The rules of a policy and the lanes in sentences, for people who read them rather than their files."""

from __future__ import annotations

from collections.abc import Sequence

from bot.cards.times import duration
from core.model.decision import DEFAULT_EXPIRES_S, ApprovalRequirements, MergeRequirements
from core.model.lane import Lane, Limits
from policies.rules import AllowEffect, AskEffect, Rule, RuleCondition


def condition_words(when: RuleCondition) -> str:
    """Which requests a rule is for: ``Requests by member or maintainer in lane docs``."""
    parts = [f"Requests by {_either(when.people)}" if when.people else "Requests by no one"]
    if when.lanes is not None:
        parts.append(f"in lane {_either(when.lanes)}")
    if when.repositories is not None:
        parts.append(f"for {_either(when.repositories)}")
    if when.surfaces is not None:
        parts.append(f"on {_either(when.surfaces)}")
    return " ".join(parts)


def effect_words(rule: Rule) -> str:
    """What a rule does with them, as the rest of the sentence."""
    effect = rule.then
    if isinstance(effect, AllowEffect):
        return "are allowed"
    if isinstance(effect, AskEffect):
        return f"are asked first: {effect.question}"
    return f"are refused: {effect.reason}"


def requirement_words(requirements: ApprovalRequirements) -> list[str]:
    """What an allowed change needs until it is merged, a sentence each."""
    count, who = requirements.count, _either(requirements.approvers)
    plural = "" if count == 1 else "s"
    own = "the requester's own counts" if requirements.self_approve else "not the requester's own"
    words = [f"It needs {count} approval{plural} by {who}, {own}." if count else "It needs no approval."]
    if requirements.surfaces:
        words.append(f"It is approved on {_either(requirements.surfaces)} only.")
    if requirements.remind_s:
        words.append(f"The approvers are reminded every {duration(requirements.remind_s)}.")
    if requirements.escalate_s:
        escalated = _either(requirements.escalate_to)
        words.append(f"After {duration(requirements.escalate_s)}, {escalated} may approve it too.")
    standard = " (the standard)" if requirements.expires_s == DEFAULT_EXPIRES_S else ""
    words.append(f"It expires after {duration(requirements.expires_s)}{standard}.")
    if requirements.merge_from:
        words.append(f"It may be merged by {_either(requirements.merge_from)}.")
    words += _merge_words(requirements.merge)
    if requirements.limits is not None:
        words.append(f"At most {limit_words(requirements.limits)}.")
    return words


def limit_words(limits: Limits) -> str:
    """The bounds of a change and of the work on it."""
    size = f"{limits.bytes / 1e6:.1f} MB" if limits.bytes >= 1e5 else f"{limits.bytes:,} bytes"
    return f"{limits.files} files, {size} of changed files, {duration(limits.wall_s)} of work"


def lane_words(lane: Lane) -> list[tuple[str, str]]:
    """The facts of a lane by label."""
    rows = [
        ("writes", ", ".join(lane.write)),
        ("never writes", ", ".join(path for path in lane.protect if path not in lane.everywhere)),
        ("made by", ", ".join(sorted(lane.executors))),
        ("models", ", ".join(lane.models)),
        ("runs", " ".join(lane.command)),
        ("steps", " → ".join(step.name for step in lane.steps)),
        ("checks", ", ".join(f"{check.name}{' (required)' if check.required else ''}" for check in lane.checks)),
        ("limits", limit_words(lane.limits)),
        (
            "sandbox",
            lane.isolation.kind + (f", may reach {', '.join(lane.isolation.hosts)}" * bool(lane.isolation.hosts)),
        ),
        ("needs", ", ".join(lane.needs)),
        ("asks for", ", ".join(parameter.name for parameter in lane.parameters)),
    ]
    return [(label, words) for label, words in rows if words]


def _merge_words(merge: MergeRequirements) -> list[str]:
    checks = ", ".join(check.name for check in merge.checks)
    if merge.auto:
        return [f"It is merged by itself once {checks or 'it is published'}{' passed' if checks else ''}."]
    return [f"It is merged only if {checks} passed."] if checks else []


def _either(names: Sequence[str]) -> str:
    if not names:
        return "no one"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
