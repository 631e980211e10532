"""Rules for typed digests: long enough, a prefix of one digest alone, and shown where it is typed (decision 0036)."""

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


async def digest_problem(tx: Tx, task: Task, typed: str) -> Problem | None:
    """Why `typed` does not name the staged diff of `task`, or None if it does.

    A prefix is compared with every digest that the task ever had: the author of a reply can search for contents whose
    digest begins like an older one's, so a prefix of several digests names none (security.md 146).
    """
    prefix = typed.lower()
    if (problem := _malformed(prefix, task.number)) is not None:
        return problem
    digests = await _digests_of(tx, task)
    matching = {digest: n for digest, n in digests.items() if digest.startswith(prefix)}
    show = Suggestion(CommandName.SHOW, task.number)
    if len(matching) > 1:
        return Problem(
            Kind.CONFLICT,
            "ambiguous_digest",
            f"{short_digest(prefix)} begins {len(matching)} digests of #{task.number}, so it names none of them",
            advise(
                "Look at the current one with ",
                show,
                f", and approve it by its button or by all {WHOLE_DIGITS} digits.",
            ),
        )
    if task.staged is not None and task.staged.digest in matching:
        return None
    if not matching:
        what = f"{short_digest(prefix)} names no staged diff of #{task.number}"
        return Problem(Kind.CONFLICT, "stale_digest", what, advise("Look at it with ", show, "."))
    current = short_digest(task.staged.digest) if task.staged else f"{task.state.value}, with nothing staged"
    by = f"superseded by {task.current.author}'s revision {task.revision}"
    (n,) = matching.values()
    what = f"{short_digest(prefix)} is revision {n} of #{task.number}, {by}, which is {current}"
    return Problem(Kind.CONFLICT, "stale_digest", what, advise("Look at the current one with ", show, "."))


async def not_shown_problem(tx: Tx, task: Task, place: Place | None) -> Problem | None:
    """Why the staged diff cannot be approved by text in `place`: not all of it was shown there (security.md 42).

    None for a verdict that was not typed in a conversation: a button belongs to the card that shows its digest, and
    what the operator's terminal showed is not stored.
    """
    if place is None or task.staged is None:
        return None
    for card in await cards.of_task(tx, task.number):
        is_thread_of_card = place.thread is not None and card.place.thread is None and card.message_id == place.thread
        shown_in = replace(card.place, thread=place.thread) if is_thread_of_card else card.place
        if shown_in.address == place.address and card.delivered == task.staged.digest:
            return None
    return Problem(
        Kind.CONFLICT,
        "not_shown",
        f"the whole diff of #{task.number} was not shown here yet",
        advise("Show it here with ", Suggestion(CommandName.SHOW, task.number), ", then approve it."),
    )


def _malformed(prefix: str, number: int) -> Problem | None:
    """Why a word cannot be the beginning of a digest, or None."""
    if not set(prefix) <= _HEX or not prefix or len(prefix) > WHOLE_DIGITS:
        shown = prefix if len(prefix) <= WHOLE_DIGITS else prefix[:WHOLE_DIGITS] + "…"
        what = f"{shown!r} is not a digest"
    elif len(prefix) < TYPED_DIGITS:
        what = f"{prefix} is too short: it is possible to find other contents whose digest begins the same"
    else:
        return None
    mend = advise(
        f"Give at least {TYPED_DIGITS} hex digits of the digest that ",
        Suggestion(CommandName.SHOW, number),
        " prints.",
    )
    return Problem(Kind.USAGE, "bad_digest", what, mend)


async def _digests_of(tx: Tx, task: Task) -> dict[str, int]:
    """Every digest that a task ever had, from its revisions, verdicts and events, each with its newest revision."""
    digests: dict[str, int] = {}
    for event in await events.chain_of(tx, task.number):
        body = json.loads(event.body)
        if isinstance(digest := body.get("digest"), str) and len(digest) == WHOLE_DIGITS:
            digests[digest] = int(body.get("revision", 0))
    for approval in await tasks.approvals_of(tx, task.number):
        digests.setdefault(approval.digest, 0)
    for revision in await tasks.revisions_of(tx, task.number):
        if revision.staged is not None:
            digests[revision.staged.digest] = revision.n
    return digests
