"""For those who operate: people and access, the audit trail with the status of its chains, and the doctor, live."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.cards.safe import one_line
from bot.web.site.session import Visitor
from bot.web.site.site_context import SiteContext, add_form, visitor_of
from core.log import fault_of, log
from core.model.errors import Kind, PermanentError
from core.model.event import Event
from core.model.role import Role
from core.rules.authorization import Authorization
from core.services.audit_trail import PAGE, ChainStatus
from core.services.web_sessions import WebSession

EXAMINE_S: Final = 60.0
FRESH_S: Final = 15.0
_SEVERITY: Final = {"fail": 0, "warn": 1, "ok": 2}


def router(site: SiteContext) -> APIRouter:
    """The routes of these pages; the services decide who sees them."""
    routes, doctor = APIRouter(), _Doctor(site)

    @routes.get("/people")
    async def people(request: Request) -> Response:
        report = await site.services.access_overview.report(visitor_of(request).session.actor)
        providers = site.services.identity_providers.listed()
        return site.render.page(request, "people.html", report=report, providers=providers)

    @routes.get("/audit")
    async def audit(request: Request) -> Response:
        return await _audit_page(site, request)

    @routes.get("/doctor")
    async def show_doctor(request: Request) -> Response:
        return await _doctor_page(site, doctor, request, "")

    @routes.get("/doctor/rows")
    async def rows(request: Request) -> Response:
        return await _doctor_page(site, doctor, request, "rows")

    async def check(request: Request, visitor: Visitor, _form: Mapping[str, str]) -> Response:
        status = await site.services.audit_trail.check(visitor.session.actor)
        return await _audit_page(site, request, status)

    add_form(routes, "/audit/check", check)
    return routes


async def _audit_page(site: SiteContext, request: Request, status: ChainStatus | None = None) -> Response:
    before = request.query_params.get("before", "")
    older = int(before) if before.isdecimal() and len(before) < 18 else None
    events = await site.services.audit_trail.page(visitor_of(request).session.actor, older)
    values: dict[str, Any] = {
        "rows": [(event, _facts(event)) for event in events],
        "older": events[-1].id if len(events) == PAGE else None,
        "chains": status,
    }
    return site.render.page(request, "audit.html", **values)


def _facts(event: Event) -> str:
    """The body of an event in one line, such as ``by link, session ses_1``."""
    body: Mapping[str, Any] = json.loads(event.body)
    return one_line(
        ", ".join(f"{key} {value}" for key, value in body.items() if value not in (None, "", [], False)), 300
    )


class _Doctor:
    """Runs the checks of `countersign doctor` for everyone who looks, one run at a time, at most every `FRESH_S`."""

    def __init__(self, site: SiteContext) -> None:
        self._site, self._lock = site, asyncio.Lock()
        self._rows: list[dict[str, Any]] = []
        self._at_s = -FRESH_S

    async def rows(self, session: WebSession) -> list[dict[str, Any]]:
        """The checks, failed ones first; raises `RefusedError` for others than those who operate."""
        Authorization(self._site.services.settings).check_home_role(session.actor, Role.OPERATOR)
        examine = self._site.services.examine
        if examine is None:
            mend = "Run the doctor on the terminal of that machine."
            raise PermanentError("no_doctor", "this process cannot examine the home", mend, kind=Kind.UNAVAILABLE)
        async with self._lock:
            if self._site.clock() - self._at_s >= FRESH_S:
                try:
                    async with asyncio.timeout(EXAMINE_S):
                        found = await examine()
                except TimeoutError as error:
                    log.warning("doctor_took_too_long", **fault_of(error))
                    message = f"the checks took longer than {EXAMINE_S:.0f} s"
                    mend = "Run the doctor on the terminal of that machine, which says which one."
                    raise PermanentError("slow_doctor", message, mend, kind=Kind.UNAVAILABLE) from error
                self._rows = sorted(found, key=lambda row: _SEVERITY[row["verdict"]])
                self._at_s = self._site.clock()
            return self._rows


async def _doctor_page(site: SiteContext, doctor: _Doctor, request: Request, block: str) -> Response:
    rows = await doctor.rows(visitor_of(request).session)
    counts = {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in _SEVERITY}
    if block:
        return site.render.fragment(request, "doctor.html", block, rows=rows, counts=counts)
    return site.render.page(request, "doctor.html", rows=rows, counts=counts)
