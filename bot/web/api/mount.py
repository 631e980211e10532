"""Where the API is mounted, and under which key of the ASGI scope its gate leaves the valid token."""

from typing import Final

PATH: Final = "/api/v1"
TOKEN: Final = "countersign.token"  # noqa: S105 (a key)
