"""The policy and the lanes, readable; a request explained; and, for maintainers, a check of the files as they are."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.interpret import GrammarInterpreter
from bot.interpret.explanation import explanation_of, obstacle_of, one_repository, read_request
from bot.web.pages.permissions import may_operate
from bot.web.pages.policy_words import condition_words, effect_words, lane_words, requirement_words
from bot.web.site.render import STATUS
from bot.web.site.session import Visitor
from bot.web.site.site_context import SiteContext, add_form, visitor_of
from core.model.errors import CountersignError, Kind, Problem, RefusedError, UsageError
from core.rules.planning import RequestOrigin
from core.rules.visibility import visibility_of, visible_names
from core.services.request_checks import checked_text
from core.services.web_sessions import SURFACE
from policies.rules import warnings
from policies.team_rules import lanes_seen, rules_seen

WITHIN_S: Final = 30.0
"""The longest that an explanation may take, which may fetch the repository first."""
AT_ONCE: Final = 2


def router(site: SiteContext) -> APIRouter:
    """The routes of the policy."""
    routes = APIRouter()
    room = asyncio.Semaphore(AT_ONCE)

    @routes.get("/policy")
    async def policy(request: Request) -> Response:
        return await _page(site, request)

    async def explain(request: Request, visitor: Visitor, form: Mapping[str, str]) -> Response:
        asked = {name: form.get(name, "").strip() for name in ("text", "person", "repo", "lane")}
        try:
            async with asyncio.timeout(WITHIN_S), room:
                explained = await _explained(site, visitor, asked)
        except TimeoutError:
            problem = Problem(Kind.UNAVAILABLE, "too_slow", "the repository took too long", "Try again in a minute.")
            return await _page(site, request, asked=asked, problem=problem)
        except CountersignError as error:
            return await _page(site, request, asked=asked, problem=error.problem)
        return await _page(site, request, asked=asked, explained=explained)

    async def check(request: Request, visitor: Visitor, _form: Mapping[str, str]) -> Response:
        if not may_operate(site.services.queue_control.settings(), visitor.session):
            raise RefusedError("may_not_check", "only maintainers and the operator check the files", "Ask one of them.")
        try:
            found = await asyncio.to_thread(site.services.checked_policy)
        except CountersignError as error:
            return await _page(site, request, problem=error.problem)
        return await _page(site, request, checked=found)

    add_form(routes, "/policy/explain", explain)
    add_form(routes, "/policy/check", check)
    return routes


async def _explained(site: SiteContext, visitor: Visitor, asked: Mapping[str, str]) -> dict[str, Any]:
    """What policy would decide about a request, and why, rule by rule; raises `UsageError` if it is not understood."""
    settings, preview = site.services.queue_control.settings(), site.services.preview
    person = _person(site, visitor, asked["person"])
    repository = one_repository(settings, visitor.session.actor, asked["repo"] or None)
    origin = RequestOrigin(person, SURFACE, repository, asked["lane"] or None)
    intent = await read_request(preview, origin, checked_text(asked["text"]), GrammarInterpreter())
    plan = await preview.plan(origin, intent)
    return {
        **explanation_of(plan),
        "title": intent.title,
        "person": person,
        "needs": requirement_words(plan.requirements) if plan.requirements else [],
        "trace": settings.policy.trace(plan.request),
        "obstacle": obstacle_of(plan),
    }


def _person(site: SiteContext, visitor: Visitor, wanted: str) -> str:
    """For whom a request is explained: maintainers and the operator may ask for anyone, others for themselves."""
    settings, own = site.services.queue_control.settings(), visitor.session.person
    if wanted and wanted != own:
        if not may_operate(settings, visitor.session):
            raise RefusedError("may_not_ask_for", "you may ask for yourself only", "Leave the person out.")
        return settings.people.named(wanted).name
    if own is None:
        raise UsageError("no_person", "the operator makes no requests", "Choose for whom it is to be explained.")
    return own


async def _page(
    site: SiteContext,
    request: Request,
    *,
    asked: Mapping[str, str] | None = None,
    explained: Mapping[str, Any] | None = None,
    problem: Problem | None = None,
    checked: Mapping[str, Any] | None = None,
) -> Response:
    session, settings = visitor_of(request).session, site.services.queue_control.settings()
    visibility, operates = visibility_of(settings, session.actor), may_operate(settings, session)
    repositories = visible_names(settings, visibility)
    rules, lanes = site.services.rules(), settings.lanes
    if not visibility.is_whole:
        rules = rules_seen(rules, settings.people, repositories, settings.people.colleagues_of(session.person or ""))
        lanes = lanes_seen(rules, settings.lanes)
    values: dict[str, Any] = {
        "rules": [
            (rule, condition_words(rule.when), effect_words(rule), requirement_words(found))
            if (found := rule.requirements) is not None
            else (rule, condition_words(rule.when), effect_words(rule), [])
            for rule in rules.rules
        ],
        "protect": rules.protect,
        "warnings": warnings(rules, settings.people) if visibility.is_whole else [],
        "digest": settings.policy.digest,
        "lanes": [
            (
                lane,
                [(label, settings.mask(words)) for label, words in lane_words(lane)],
                [rule.name for rule in rules.rules if rule.opens and lane.name in (rule.when.lanes or [lane.name])],
            )
            for _, lane in sorted(lanes.items())
        ],
        "repositories": repositories,
        "people": sorted(settings.people.by_name) if operates else [session.person] if session.person else [],
        "operates": operates,
        "own": session.person or "",
        "asked": asked or {"text": "", "person": "", "repo": "", "lane": ""},
        "explained": explained,
        "problem": problem,
        "checked": checked,
    }
    return site.render.page(request, "policy.html", STATUS[problem.kind] if problem else 200, **values)
