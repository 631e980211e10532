"""A file from the package as a response; with the version in its address, browsers keep it."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import Response

from bot.web.site.render import Renderer
from core.model.errors import NotFoundError


def asset_response(render: Renderer, request: Request) -> Response:
    """The file that the path of a request names; raises `NotFoundError`."""
    asset = render.assets.get(request.path_params["name"])
    if asset is None:
        raise NotFoundError("no_such_file", "there is no such file", "Go to the inbox.")
    is_current = request.query_params.get("v") == asset.version
    keep = "public, max-age=31536000, immutable" if is_current else "no-cache"
    return Response(asset.content, media_type=asset.media_type, headers={"cache-control": keep})
