"""The style, the scripts and their licences, from the package; everyone may have them."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.web.site.asset_response import asset_response
from bot.web.site.site_context import SiteContext


def router(site: SiteContext) -> APIRouter:
    """The route of these files."""
    routes = APIRouter()

    @routes.get("/static/{name:path}")
    async def static(request: Request) -> Response:
        return asset_response(site.render, request)

    return routes
