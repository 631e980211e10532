"""The style, the scripts and their licences, from the package; everyone may have them."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.web.site.site_context import SiteContext
from core.model.errors import NotFoundError


def router(site: SiteContext) -> APIRouter:
    """The route of these files."""
    routes = APIRouter()

    @routes.get("/static/{name:path}")
    async def static(request: Request) -> Response:
        asset = site.render.assets.get(request.path_params["name"])
        if asset is None:
            raise NotFoundError("no_such_file", "there is no such file", "Go to the inbox.")
        is_current = request.query_params.get("v") == asset.version
        keep = "public, max-age=31536000, immutable" if is_current else "no-cache"
        return Response(asset.content, media_type=asset.media_type, headers={"cache-control": keep})

    return routes
