"""Builds the card of a task from its task document alone; pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from bot.cards.actions import actions_for, actions_of_older_revision
from bot.cards.byline import byline_facts
from bot.cards.model import Card
from bot.cards.parts import ICONS, ProblemPart, PullRequestPart, QuestionPart, Quote, revision_label
from bot.cards.safe import map_text, one_line, visible
from bot.cards.staged import decisions_on, needed_approvals, risk_of, staged_part
from bot.cards.times import parse_time, until
from core.model.errors import mend_of
from core.model.lifecycle import State

MAX_QUOTE: Final = 280
"""Maximum characters of quoted text on a card; the explanation (`why`) has the whole text."""


def build_card(document: Mapping[str, Any], *, now: datetime, revision: int | None = None) -> Card:
    """Build the card of a task document (contract.md) at `now`; `revision` is that of an older card.

    A card of an older revision shows no diff and offers only the current card.
    """
    state, newest = State(document["state"]), int(document["revision"])
    revision = newest if revision is None else revision
    is_old = revision < newest
    staged = None if is_old else staged_part(document)
    card = Card(
        number=int(document["number"]),
        revision=revision,
        icon="⏩" if is_old else ICONS[state],
        label=revision_label(document["number"], revision),
        state=state,
        lane=document["lane"] or "",
        title=one_line(document["title"], 200),
        risk=risk_of(staged),
        byline=() if is_old else byline_facts(document, state, now),
        rule="" if is_old else _rule(document),
        quotes=() if is_old else _quotes(document),
        staged=staged,
        needs=needed_approvals(document) if staged and state is State.STAGED else (),
        decisions=decisions_on(document, revision, staged, now),
        expiry="" if is_old else _expiry(document, state, now),
        question=None if is_old else _question(document),
        problem=None if is_old else _problem(document),
        last_failure="" if is_old else _last_failure(document, now),
        pull_request=_pull_request(document),
        actions=actions_of_older_revision(document) if is_old else tuple(actions_for(document, state)),
        superseded_note=f"superseded by {revision_label(document['number'], newest)}" if is_old else "",
    )
    return map_text(card, visible)


def _last_failure(document: Mapping[str, Any], now: datetime) -> str:
    """Why the last attempt failed, and the time of the next one."""
    queue = document["queue"] or {}
    problem, next_try = one_line(queue.get("problem") or "").rstrip("."), queue.get("next_try_at")
    if not problem or not next_try:
        return problem
    is_due = (parse_time(next_try) or now) <= now
    return f"{problem}; next try {'now' if is_due else until(next_try, now)}"


def _rule(document: Mapping[str, Any]) -> str:
    """The rule and the reason for this lane; no reason that the problem repeats, and no rule name twice."""
    reason, rule = one_line(document["reason"] or ""), document["rule"]
    if document["error"] and one_line(document["error"]["message"]) == reason:
        return f"rule {rule}" if rule else ""
    if not rule or f"rule {rule} " in reason:
        return reason
    return f"rule {rule}: {reason}".rstrip(": ")


def _quotes(document: Mapping[str, Any]) -> tuple[Quote, ...]:
    """The newest turn of this revision, unless it equals the title, and a model's remarks on its work."""
    turns = [turn for turn in document["turns"] if turn.get("revision", document["revision"]) == document["revision"]]
    quotes = [
        Quote(f"{turn['person']} {'asked' if turn['n'] == 1 else 'replied'}", one_line(turn["text"], MAX_QUOTE))
        for turn in turns[-1:]
        if one_line(turn["text"]) != one_line(document["title"])
    ]
    model = document.get("model") or {}
    if model.get("words"):
        quotes.append(Quote(f"the model {model['name']} says", one_line(model["words"], MAX_QUOTE), is_from_model=True))
    return tuple(quotes)


def _expiry(document: Mapping[str, Any], state: State, now: datetime) -> str:
    if state not in (State.STAGED, State.ASKING):
        return ""
    when = until(document.get("expires_at"), now)
    return f"expires {when}" if when.startswith("in ") else f"expired {when}".rstrip() if when else ""


def _question(document: Mapping[str, Any]) -> QuestionPart | None:
    question = document.get("question")
    if not question:
        return None
    return QuestionPart(one_line(question["text"]), tuple(question["options"]))


def _problem(document: Mapping[str, Any]) -> ProblemPart | None:
    """The task's problem; an open question is shown by `_question`, and its answers are actions."""
    error = document["error"]
    if not error or (error["code"] in ("asking", "budget_spent") and document.get("question")):
        return None
    mend = mend_of(error)
    mend = one_line(mend) if isinstance(mend, str) else mend.about(int(document["number"]))
    return ProblemPart(error["code"], one_line(error["message"]), mend)


def _pull_request(document: Mapping[str, Any]) -> PullRequestPart | None:
    pull_request = document["pull_request"]
    if pull_request is None:
        return None
    carried = pull_request.get("revision", document["revision"])
    other_revision = carried if carried != document["revision"] else None
    return PullRequestPart(
        pull_request["number"],
        pull_request["state"],
        pull_request["branch"],
        pull_request["head"],
        pull_request["url"],
        other_revision,
        one_line(pull_request.get("checks", "")),
        pull_request.get("files", ""),
    )
