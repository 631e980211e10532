"""The page of one task: its card, what it needs, its diff, its timeline and its files."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.cards.build import build_card
from bot.cards.model import Card
from bot.cards.problem_text import problem_sentence
from bot.cards.times import duration
from bot.web.pages.live_output import output_of
from bot.web.pages.task_diff import DiffPart, chosen_view, diff_part, masked_diff, picks_parts
from bot.web.pages.task_files import downloadable
from bot.web.pages.timeline import timeline_of
from bot.web.site.relying_party import relying_party_of
from bot.web.site.site_context import SiteContext, task_number, visitor_of
from core.model.approval import Verdict
from core.model.attention import AttentionAction, review_minutes
from core.model.decision import PASSKEY, TOTP
from core.model.diff_comment import CommentDraft
from core.model.errors import CountersignError, Kind, Problem
from core.model.lifecycle import State
from core.model.passkey import RelyingParty
from core.services.task_document import TaskDocument
from core.services.web_sessions import SURFACE, WebSession

MAX_EVENTS: Final = 1000


@dataclass(frozen=True, slots=True)
class PickConsequence:
    """Who could approve what a visitor leaves of a diff: `people`, of whom it needs `count`, or (`own`) they too.

    `is_author` says whether they are an author of the diff already.
    """

    people: tuple[str, ...]
    count: int
    own: bool
    is_author: bool

    @property
    def is_dead_end(self) -> bool:
        """Whether fewer people are left than it needs."""
        return len(self.people) + self.own < self.count


@dataclass(frozen=True, slots=True)
class Choices:
    """What a visitor can do with a task now, and why not the rest."""

    may_approve: bool
    may_reject: bool
    may_reply: bool
    obstacle: str
    others: tuple[str, ...]
    may_extend: bool = False
    passkeys: int = 0
    """How many passkeys of the visitor can sign an approval on this site."""
    needs_passkey: bool = False
    """Whether only a signed approval counts."""
    may_pick: bool = False
    after_pick: PickConsequence | None = None
    """What picking parts means for who may approve them; with `may_pick`."""
    needs_code: bool = False
    """Whether only an approval with a code of an app, or a signed one, counts."""
    has_app: bool = False
    """Whether the visitor has an authenticator app."""


def router(site: SiteContext) -> APIRouter:
    """The routes of a task's page."""
    routes = APIRouter()

    @routes.get("/tasks/{number:int}")
    async def task(request: Request) -> Response:
        return await task_page(site, request)

    @routes.get("/tasks/{number:int}/facts")
    async def facts(request: Request) -> Response:
        document = await site.services.documents.document(task_number(request), visitor_of(request).session.actor)
        values = await _facts(site, request, document, build_card(document.to_json(), now=datetime.now(UTC)))
        on_page = request.query_params.get("digest", "")
        return site.render.fragment(request, "task.html", "facts", **values, is_stale=on_page != values["digest"])

    return routes


async def task_page(
    site: SiteContext, request: Request, problem: Problem | None = None, status: int = 200, reply: str = ""
) -> Response:
    """The page of a task; after a form that was refused, with the `problem` on top and what was typed kept."""
    news = await site.services.queries.newest_event()  # before the rest, so that what happens meanwhile is news
    document = await site.services.documents.document(task_number(request), visitor_of(request).session.actor)
    card = build_card(document.to_json(), now=datetime.now(UTC))
    session = visitor_of(request).session
    choices = await choices_of(site, document, session, relying_party_of(request))
    drafts = await site.services.diff_comments.drafts(document.task.number, session.actor)
    draft = _current(drafts, document) if choices.may_reply else None
    picks = choices.may_pick and picks_parts(request)
    part, broken = await _part(site, request, document, card, draft, picks=picks)
    values = await _facts(site, request, document, card)
    blocked = None
    if part is None and broken is None and document.task.staged is not None:
        blocked = masked_diff(await site.services.diffs.of(document.task))
    values |= {
        "news": news,
        "part": part,
        "broken": broken,
        "blocked": blocked,
        "view": chosen_view(request),
        "problem": problem,
        "reply": reply,
        "nonce": secrets.token_urlsafe(12),
        "choices": choices,
        "drafts": drafts,
        "steps": {step.value for step in await site.services.steps.of_task(document.task.number, session.actor)},
        "minutes": duration(60 * review_minutes(document.task.staged)) if document.task.staged else "",
        "is_stale": False,
        "artifacts": downloadable(document),
        "output": await output_of(site, request),
    }
    return site.render.page(request, "task.html", status, **values)


async def _part(
    site: SiteContext, request: Request, document: TaskDocument, card: Card, draft: CommentDraft | None, *, picks: bool
) -> tuple[DiffPart | None, Problem | None]:
    """The part of the diff, or why it cannot be shown; then it cannot be approved here either."""
    try:
        return await diff_part(site, request, document.task, card, draft, picks=picks), None
    except CountersignError as error:
        if error.problem.kind is Kind.MISSING:
            raise
        return None, error.problem


def _current(drafts: Iterable[CommentDraft], document: TaskDocument) -> CommentDraft:
    """The draft on the current diff, empty if nothing was written yet."""
    task = document.task
    empty = CommentDraft(task.staged.digest if task.staged else "", task.revision, True, ())
    return next((draft for draft in drafts if draft.is_current), empty)


async def _facts(site: SiteContext, request: Request, document: TaskDocument, card: Card) -> dict[str, Any]:
    """What the live part of the page shows."""
    number = document.task.number
    actor = visitor_of(request).session.actor
    attention = await site.services.attention.of_task(number, actor)
    events = (await site.services.queries.visible_events(actor, number=number)).events
    return {
        "card": card,
        "document": document,
        "task": document.task,
        "attention": attention,
        "timeline": timeline_of(document, events),
        "digest": document.task.staged.digest if document.task.staged else "",
        "why": document.queue.why if document.queue else "",
    }


async def choices_of(
    site: SiteContext, document: TaskDocument, session: WebSession, party: RelyingParty | None = None
) -> Choices:
    """What the visitor may do with a task now; each is checked again when they do it."""
    task, actor = document.task, session.actor
    asks_for_budget = task.question is not None and task.question.budget is not None
    if session.person is None:
        who = "You are signed in as the operator, who is not a person that decides."
        return Choices(False, False, False, who, (), may_extend=asks_for_budget)
    may_reply = await _may_speak(site, task.number, session)
    if asks_for_budget:
        return Choices(False, False, False, "", document.extenders, session.person in document.extenders)
    if task.state is not State.STAGED or task.staged is None:
        return Choices(False, False, may_reply, "", ())
    digest = task.staged.digest
    approving = await site.services.approvals.obstacle(task.number, actor, Verdict.APPROVE, digest, will_sign=True)
    rejecting = await site.services.approvals.obstacle(task.number, actor, Verdict.REJECT, digest)
    attention = await site.services.attention.of_task(task.number, actor)
    others = tuple(person for person, action in attention.items() if action is AttentionAction.APPROVE)
    obstacle = problem_sentence(approving, SURFACE) if approving is not None else ""
    if not obstacle and session.person not in attention:
        obstacle = "Your approval counts already." if document.needs and session.person in document.needs.have else ""
        obstacle = obstacle or "A reply is being read, which may change the diff. Look again in a moment."
    passkeys = await site.services.passkeys.own(actor, party)
    step_up = document.needs.step_up if document.needs is not None else ""
    may = (not obstacle, rejecting is None, may_reply)
    return Choices(
        *may,
        obstacle,
        others,
        passkeys=len(passkeys),
        needs_passkey=step_up == PASSKEY,
        needs_code=step_up == TOTP,
        has_app=step_up == TOTP and await site.services.authenticators.own(actor) is not None,
        may_pick=await _may_speak(site, task.number, session, picks=True),
        after_pick=_after_pick(document, session.person),
    )


def _after_pick(document: TaskDocument, person: str) -> PickConsequence | None:
    """Who could approve what `person` leaves of the diff, of whom they become an author."""
    needs, requirements = document.needs, document.task.current.requirements
    if needs is None or requirements is None:
        return None
    own = requirements.self_approve and person in needs.of
    others = tuple(each for each in needs.of if each != person)
    return PickConsequence(others, needs.count, own, is_author=person in document.task.authors)


async def _may_speak(site: SiteContext, number: int, session: WebSession, *, picks: bool = False) -> bool:
    try:
        await site.services.requests.check_speaking(number, session.actor, picks=picks)
    except CountersignError:
        return False
    return True
