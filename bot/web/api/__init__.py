"""The REST API: `api_routes` mounts it at `/api/v1`; FastAPI is imported when the first valid token arrives."""

from bot.web.api.gate import api_routes

__all__ = ["api_routes"]
