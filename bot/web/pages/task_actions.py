"""The forms of a task's page: verdicts, replies and larger budgets, by the services that the chats use."""

from __future__ import annotations

import re
from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.web.pages.task import task_page
from bot.web.site.relying_party import needed_relying_party
from bot.web.site.render import STATUS
from bot.web.site.session import Visitor, set_cookie
from bot.web.site.site_context import SiteContext, add_form, see_other, task_number, visitor_of
from core.model.advice import CommandName, Suggestion, advise
from core.model.approval import Verdict
from core.model.budget import Spending
from core.model.errors import CountersignError, Kind, NotFoundError, Problem, UsageError
from core.services.web_sessions import ABSOLUTE_S

Form = Mapping[str, str]


def router(site: SiteContext) -> APIRouter:
    """The routes of the forms of a task."""
    routes = APIRouter()

    async def approve(request: Request, visitor: Visitor, form: Form) -> Response:
        number, digest = task_number(request), form.get("digest", "")
        try:
            problem = await hidden_problem(site, number, digest, visitor)
            problem = problem or await _approve(site, request, number, digest, form)
        except CountersignError as error:
            problem = problem_of(error)
        response = await finished(site, request, problem)
        if problem is None and (form.get("credential") or form.get("code")):  # who proved more gets a new cookie
            secret = await site.services.web_sessions.rotate(visitor.session.id)
            set_cookie(request, response, secret, ABSOLUTE_S)
        return response

    async def reject(request: Request, visitor: Visitor, form: Form) -> Response:
        number, reason = task_number(request), form.get("reason", "").strip()
        digest = form.get("digest", "")
        if not reason:
            problem = Problem(Kind.USAGE, "no_reason", "a rejection needs a reason", "Say what is wrong with it.")
            return await finished(site, request, problem)
        try:
            problem_now = (
                await site.services.approvals.reject(number, reason, visitor.session.actor, digest or "-")
            ).problem
        except CountersignError as error:
            problem_now = problem_of(error)
        return await finished(site, request, problem_now)

    async def reply(request: Request, visitor: Visitor, form: Form) -> Response:
        number, text = task_number(request), form.get("text", "").replace("\r\n", "\n").strip()
        nonce = form.get("nonce", "")[:40]
        dedup = f"{visitor.session.id} {nonce}" if nonce else None  # a form that is sent twice counts once
        try:
            await site.services.requests.reply(number, text, visitor.session.actor, dedup)
        except CountersignError as error:
            return await finished(site, request, problem_of(error), text)
        return await finished(site, request, None)

    async def extend(request: Request, visitor: Visitor, form: Form) -> Response:
        number, question = task_number(request), form.get("question", "")
        asked = int(question) if question.isdecimal() and len(question) < 10 else 0
        try:
            await site.services.budgets.extend(number, visitor.session.actor, _amounts(form), asked)
        except CountersignError as error:
            return await finished(site, request, problem_of(error))
        return await finished(site, request, None)

    add_form(routes, "/tasks/{number:int}/approve", approve)
    add_form(routes, "/tasks/{number:int}/extend", extend)
    add_form(routes, "/tasks/{number:int}/reject", reject)
    add_form(routes, "/tasks/{number:int}/reply", reply)
    return routes


async def _approve(site: SiteContext, request: Request, number: int, digest: str, form: Form) -> Problem | None:
    """Approve, with what a passkey answered or a code if the form has one; returns why it was refused, or None."""
    session, credential, code = visitor_of(request).session, form.get("credential", ""), form.get("code", "").strip()
    if code and not credential:
        return (await site.services.code_approvals.approve(number, digest, session.actor, code)).problem
    if not credential:
        return (await site.services.approvals.approve(number, digest, session.actor)).problem
    party = needed_relying_party(request)
    signed = site.services.passkey_approvals.approve(number, digest, session.actor, session.id, party, credential)
    return (await signed).problem


def _amounts(form: Form) -> Spending:
    """The amounts of a larger budget; nothing for as much again. Raises `UsageError` for other texts than numbers."""
    typed = {name: form.get(name, "").strip() for name in ("steps", "tokens", "usd")}
    if not all(re.fullmatch(r"\d{0,12}(\.\d{1,4})?", text) for text in typed.values()):
        raise UsageError(
            "bad_amount", "an amount is not a number", "Write digits, such as 200000, or 1.50 for dollars."
        )
    if "." in typed["steps"] + typed["tokens"]:
        raise UsageError("bad_amount", "answers and tokens are whole numbers", "Write digits only, such as 200000.")
    return Spending(int(typed["steps"] or 0), int(typed["tokens"] or 0), float(typed["usd"] or 0))


async def hidden_problem(site: SiteContext, number: int, digest: str, visitor: Visitor) -> Problem | None:
    """Why the digest of a form cannot be approved: not all of its diff was shown in this session (security.md 42).

    A digest that is no longer current, or a person who may not approve, is the better reason and comes first.
    """
    shown = await site.services.web_sessions.parts_shown(visitor.session.id, digest)
    if shown.is_whole:
        return None  # `approve` refuses it for any other reason, and records that
    approvals, actor = site.services.approvals, visitor.session.actor
    obstacle = await approvals.obstacle(number, actor, Verdict.APPROVE, digest, will_sign=True)
    if obstacle is not None:
        return obstacle
    what = f"not all of the diff of #{number} was shown to you yet"
    mend = advise("Read ", Suggestion(CommandName.DIFF, number), " to its end, then approve it.")
    return Problem(Kind.CONFLICT, "not_shown", what, mend)


def problem_of(error: CountersignError) -> Problem:
    """The problem of an error that belongs on the task's page; one without a task is raised again."""
    if isinstance(error, NotFoundError) and error.problem.code in ("no_such_task", "not_here"):
        raise error
    return error.problem


async def finished(site: SiteContext, request: Request, problem: Problem | None, reply: str = "") -> Response:
    """The task's page after a form: opened anew, or with the `problem` on top and what was typed kept."""
    if problem is None:
        return see_other(f"/tasks/{task_number(request)}")
    return await task_page(site, request, problem, STATUS[problem.kind], reply)
