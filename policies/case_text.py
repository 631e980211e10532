"""Writes a past decision as a case of `policies.cases`."""

from __future__ import annotations

import json
from typing import Any

from core.model.decision import Decision
from core.rules.decision_replay import ReplayedDecision


def case_text(replayed: ReplayedDecision, decision: Decision) -> str:
    """The lines of YAML for a file of cases: what was asked, and what policy decides about it."""
    task, revision = replayed.task, replayed.revision
    intent = revision.intent
    ask: dict[str, Any] = {"as": revision.author, "repo": task.repo, "surface": task.surface}
    ask |= {"lane": task.asked_lane} if task.asked_lane else {}
    paths = intent.paths() if intent is not None else ()
    ask |= {"paths": list(paths)} if paths else {}
    is_known = intent is not None and bool(intent.edits or intent.needs_git_alone)
    ask |= {} if is_known else {"edits": "unknown"}
    expect: dict[str, Any] = {"effect": decision.effect.value}
    expect |= {"lane": decision.lane} if decision.lane else {}
    expect |= {"rule": decision.rule} if decision.rule else {}
    expect |= {"approvals": decision.requirements.count} if decision.requirements else {}
    expect |= {"options": list(decision.question.options)} if decision.question else {}
    name = f"task {task.number}: {task.title}"
    return f"  - name: {_text(name[:200])}\n    ask: {_flow(ask)}\n    expect: {_flow(expect)}\n"


def _flow(values: dict[str, Any]) -> str:
    return "{" + ", ".join(f"{key}: {_text(value)}" for key, value in values.items()) + "}"


def _text(value: Any) -> str:
    """A value as JSON, which YAML reads as the same value."""
    return json.dumps(value, ensure_ascii=True)
