"""The byline of a card: who asked, where, since when, how the change is made, and of what it is a part."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from bot.cards.eta import queue_facts
from bot.cards.parts import WORKING
from bot.cards.safe import one_line
from bot.cards.times import ago, until
from core.model.lifecycle import State
from core.model.part_selection import picked_words

_MAX_NAMED: Final = 6
"""People named before the rest become "others"."""
_MODEL_FREE: Final = frozenset({"", "edit", "command", "workflow"})
"""Executors that call no model themselves."""


def byline_facts(document: Mapping[str, Any], state: State, now: datetime) -> tuple[str, ...]:
    """Who asked, where and since when, then queue, progress, parameters, models, priority and deadline."""
    staged, queue = document["staged"], document["queue"] or {}
    repo = document["repo"] or ""
    location = f"{repo}@{staged['base'][:7]}" if staged and repo else repo
    facts = [document["requester"], location, _since(document, state, now)]
    if state is State.STAGED:
        facts.append(awaited_approval(document))
    if queue.get("waits_for"):
        facts.append(f"waits for #{queue['waits_for']}")
    elif queue.get("position"):
        facts += queue_facts(queue)
    if state is State.RUNNING:
        facts += _progress(queue)
    facts += [*_parameters(document), *_made_by(document), *_picked(document)]
    if document.get("read_by"):
        facts.append(f"read by {one_line(document['read_by'], 80)}")
    if document.get("priority"):
        facts.append(f"priority {document['priority']}")
    if document.get("deadline") and (state in WORKING or state in (State.ASKING, State.STAGED)):
        facts.append(f"due {until(document['deadline'], now)}")
    return tuple(fact for fact in facts if fact)


def _progress(queue: Mapping[str, Any]) -> list[str]:
    """What running work waits for and how long, or how far it is."""
    if queue.get("why"):
        late = bool(queue.get("is_late"))  # that sentence has the reason
        return ([] if late else [one_line(queue["why"], 120)]) + queue_facts(queue)
    return [one_line(queue["progress"], 120)] if queue.get("progress") else []


def awaited_approval(document: Mapping[str, Any]) -> str:
    """The approval step that a staged part of a workflow waits for, who may give it, and what it asks.

    Empty if the whole work is staged.
    """
    making = document.get("making") or {}
    if not making.get("awaits"):
        return ""
    missing = {name: None for row in document["staged"]["needs"] for name in row["of"] if name not in row["have"]}
    names = [*missing] if len(missing) <= _MAX_NAMED else [*[*missing][:_MAX_NAMED], "others"]
    by = f" by {' or '.join(names)}" if names else ""
    step = f", step {making['step']} of {making['steps']}" if making.get("step") else ""
    question = f": {one_line(making['asks'], 120)}" if making.get("asks") else ""
    return f"waits for {making['awaits']}{by}{step}{question}"


def _parameters(document: Mapping[str, Any]) -> list[str]:
    """The values that the request sets for its lane's parameters."""
    parameters = document.get("parameters") or {}
    settings = [f"{one_line(name, 40)}={one_line(str(value), 60)}" for name, value in parameters.items()]
    return [f"with {', '.join(settings)}"] if settings else []


def _picked(document: Mapping[str, Any]) -> list[str]:
    """Of which revisions it is only a part, and who chose it."""
    return [picked_words(part) for part in document.get("picked") or ()]


def _made_by(document: Mapping[str, Any]) -> list[str]:
    """The models that made the change, and the cost as far as they report it."""
    making = document.get("making")
    if not making:
        return []
    if not (making["usage"] or making["executor"] not in _MODEL_FREE):
        return [f"made by the run of #{making['run_of']}"] if making.get("run_of") else []
    costs = []
    for spent in making["usage"]:
        cost = f", ${spent['usd']:.2f}" if spent["usd"] is not None else ""
        tokens = spent["input_tokens"] + spent["output_tokens"]
        name = one_line(spent["model"], 80)
        costs.append(f"{name}: {spent['calls']} answers, {tokens:,} tokens{cost}")
    tries = f" in {making['tries']} tries" if making["tries"] > 1 else ""
    spent = f" ({'; '.join(costs)})" if costs else ""
    shared = f" in the run of #{making['run_of']}" if making.get("run_of") else ""
    return [f"made by {making['executor']}{tries}{shared}{spent}"]


def _since(document: Mapping[str, Any], state: State, now: datetime) -> str:
    when = ago(document.get("updated_at"), now)
    if state is State.ASKING:
        return f"asked {when}".strip()
    if not when:
        return state.value
    is_ongoing = state in WORKING and when.endswith(" ago")
    return f"{state.value} for {when.removesuffix(' ago')}" if is_ongoing else f"{state.value} {when}"
