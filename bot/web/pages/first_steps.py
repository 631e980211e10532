"""The first steps in a new home: a request to the sample repository, its diff, its pull request, what comes next."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.cards.build import build_card
from bot.web.setup.sample import FIRST_REQUEST, NAME
from bot.web.site.render import STATUS
from bot.web.site.session import Visitor
from bot.web.site.site_context import SiteContext, add_form, see_other, visitor_of
from core.model.errors import CountersignError, NotFoundError, Problem
from core.model.lifecycle import State
from core.model.task_filter import TaskFilter
from core.model.turn import WEB, Actor
from core.ports.repository import RepositorySpec
from core.rules.visibility import visibility_of
from core.services.requests import NewRequest
from core.services.task_document import TaskDocument
from core.settings import SettingsSource

PATH: Final = "/first-steps"
LOOK_AGAIN_S: Final = 2
_WORKING: Final = frozenset({State.RECEIVED, State.QUEUED, State.RUNNING, State.APPROVED})
_DONE: Final = frozenset({State.PUBLISHED, State.MERGED})


def sample_of(settings: SettingsSource) -> RepositorySpec | None:
    """The sample repository of a new home, or None once it is no longer configured."""
    spec = settings().repositories.get(NAME)
    return spec if spec is not None and spec.forge == "local" else None


def router(site: SiteContext) -> APIRouter:
    """The routes of the first steps."""
    routes = APIRouter()

    @routes.get(PATH)
    async def first_steps(request: Request) -> Response:
        return await _page(site, request)

    async def ask(request: Request, visitor: Visitor, form: Mapping[str, str]) -> Response:
        text = form.get("text", "").replace("\r\n", "\n").strip()
        nonce = form.get("nonce", "")[:60]
        dedup = f"{visitor.session.id} {nonce}" if nonce else None  # a form that is sent twice asks once
        try:
            _sample(site, visitor.session.actor)
            await site.services.requests.ask(NewRequest(text=text, actor=visitor.session.actor, repo=NAME, dedup=dedup))
        except NotFoundError:
            raise
        except CountersignError as error:
            return await _page(site, request, error.problem, text)
        return see_other(PATH)

    add_form(routes, f"{PATH}/ask", ask)
    return routes


def _sample(site: SiteContext, actor: Actor) -> RepositorySpec:
    spec = sample_of(site.services.settings)
    if spec is None or not visibility_of(site.services.settings(), actor).repositories.covers(NAME):
        raise NotFoundError("no_sample", "this home has no sample repository any more", "Go to the inbox.")
    return spec


async def _page(
    site: SiteContext, request: Request, problem: Problem | None = None, typed: str | None = None
) -> Response:
    """The page; after a request that was refused, with the `problem` and what was typed."""
    session = visitor_of(request).session
    sample, person = _sample(site, session.actor), session.person
    document = await _newest(site, person) if person is not None else None
    state = document.task.state if document is not None else None
    values: dict[str, Any] = {
        "sample": sample,
        "home": str(Path(sample.url).parent),
        "person": person,
        "card": build_card(document.to_json(), now=datetime.now(UTC)) if document is not None else None,
        "is_working": state in _WORKING,
        "is_staged": state is State.STAGED,
        "is_done": state in _DONE,
        "problem": problem,
        "typed": FIRST_REQUEST if typed is None else typed,
        "nonce": f"first {document.task.number if document is not None else 0}",
        "people": sorted(site.services.settings().people_of(NAME).by_name),
    }
    response = site.render.page(request, "first_steps.html", 200 if problem is None else STATUS[problem.kind], **values)
    if values["is_working"]:  # works without scripts too
        response.headers["refresh"] = str(LOOK_AGAIN_S)
    return response


async def _newest(site: SiteContext, person: str) -> TaskDocument | None:
    """The newest task of a person in the sample repository."""
    actor = Actor(person, WEB)
    page = await site.services.task_search.page(TaskFilter(repo=NAME, person=person), 1, actor)
    return await site.services.documents.document(page.tasks[0].number, actor) if page.tasks else None
