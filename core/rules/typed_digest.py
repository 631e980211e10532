"""What a typed digest must be: long enough, of one digest alone, and shown where it is typed (decision 0036)."""

from __future__ import annotations

import json
from dataclasses import replace

from core.model.advice import CommandName, Suggestion, advise
from core.model.errors import Kind, Problem
from core.model.place import Place
from core.model.staged_diff import TYPED_DIGITS, short_digest
from core.model.task import Task
from core.store import cards, events, tasks
from core.store.unit_of_work import Tx

WHOLE_DIGITS = 64
_HEX = frozenset("0123456789abcdef")


async def objection_to(tx: Tx, task: Task, typed: str) -> Problem | None:
    """Why `typed` does not name what `task` has staged, or None when it does.

    A prefix is compared with every digest that the task ever had: whoever replies can search for contents whose digest
    begins like an older one's, so a prefix that fits more than one names none (security.md 146).
    """
    wanted = typed.lower()
    if (problem := _misspelt(wanted, task.number)) is not None:
        return problem
    ever = await _digests_of(tx, task)
    fitting = {digest: n for digest, n in ever.items() if digest.startswith(wanted)}
    show = Suggestion(CommandName.SHOW, task.number)
    if len(fitting) > 1:
        return Problem(
            Kind.CONFLICT,
            "ambiguous_digest",
            f"{short_digest(wanted)} begins {len(fitting)} digests of #{task.number}, so it names none of them",
            advise(
                "Look at the current one with ",
                show,
                f", and approve it by its button or by all {WHOLE_DIGITS} digits.",
            ),
        )
    if task.staged is not None and task.staged.digest in fitting:
        return None
    if not fitting:
        what = f"{short_digest(wanted)} names no staged diff of #{task.number}"
        return Problem(Kind.CONFLICT, "stale_digest", what, advise("Look at it with ", show, "."))
    now = short_digest(task.staged.digest) if task.staged else f"{task.state.value}, with nothing staged"
    by = f"superseded by {task.current.author}'s revision {task.revision}"
    (n,) = fitting.values()
    what = f"{short_digest(wanted)} is revision {n} of #{task.number}, {by}, which is {now}"
    return Problem(Kind.CONFLICT, "stale_digest", what, advise("Look at the current one with ", show, "."))


async def not_shown(tx: Tx, task: Task, place: Place | None) -> Problem | None:
    """Why what is staged cannot be approved by words in `place`: its whole diff was not shown there (security.md 42).

    None for what was not typed in a conversation: a button belongs to the card that shows its digest, and the terminal
    is the local operator's, of whose screen nothing is kept.
    """
    if place is None or task.staged is None:
        return None
    for card in await cards.of_task(tx, task.number):
        beneath = place.thread is not None and card.place.thread is None and card.message_id == place.thread
        here = replace(card.place, thread=place.thread) if beneath else card.place
        if here.address == place.address and card.delivered == task.staged.digest:
            return None
    return Problem(
        Kind.CONFLICT,
        "not_shown",
        f"the whole diff of #{task.number} was not shown here yet",
        advise("Have it shown here with ", Suggestion(CommandName.SHOW, task.number), ", then approve it."),
    )


def _misspelt(wanted: str, number: int) -> Problem | None:
    """Why a word is not the beginning of a digest."""
    if not set(wanted) <= _HEX or not wanted or len(wanted) > WHOLE_DIGITS:
        shown = wanted if len(wanted) <= WHOLE_DIGITS else wanted[:WHOLE_DIGITS] + "…"
        what = f"{shown!r} is not a digest"
    elif len(wanted) < TYPED_DIGITS:
        what = f"{wanted} is too short: other contents can be found whose digest begins the same"
    else:
        return None
    mend = advise(
        f"Give at least {TYPED_DIGITS} hex digits of the digest that ",
        Suggestion(CommandName.SHOW, number),
        " has.",
    )
    return Problem(Kind.USAGE, "bad_digest", what, mend)


async def _digests_of(tx: Tx, task: Task) -> dict[str, int]:
    """Every digest that a task ever had, each with its newest revision: of its revisions, verdicts and events."""
    ever: dict[str, int] = {}
    for event in await events.chain_of(tx, task.number):
        body = json.loads(event.body)
        if isinstance(digest := body.get("digest"), str) and len(digest) == WHOLE_DIGITS:
            ever[digest] = int(body.get("revision", 0))
    for approval in await tasks.approvals_of(tx, task.number):
        ever.setdefault(approval.digest, 0)
    for revision in await tasks.revisions_of(tx, task.number):
        if revision.staged is not None:
            ever[revision.staged.digest] = revision.n
    return ever
