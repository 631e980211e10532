"""Withholds secrets from models, because everything that a model reads is sent to its endpoint.

Files are withheld by name, and by content if a detector of secrets is available. A lane whose `write` lists such a file
by its whole path, without a wildcard, allows its model to read it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from core.model.secret_files import is_secret_file
from lanes.executors.errors import EditError

HasSecret = Callable[[str], bool]
"""Returns True if a text contains a secret."""


def finds_no_secret(_text: str) -> bool:
    """A `HasSecret` for use without a detector of secrets."""
    return False


@dataclass(frozen=True, slots=True)
class WithheldText:
    """The texts that a lane with these `write` globs withholds from its model, by name or by `has_secret`."""

    write: tuple[str, ...] = ()
    has_secret: HasSecret = finds_no_secret

    async def check(self, path: str, text: str, shown: str) -> None:
        """Raise `EditError` if the model may not read `text` of the file `path`; `shown` is the path for display."""
        if await self.hides(path, text):
            raise EditError(
                "withheld",
                f"{shown} is withheld from models because it contains a secret or is a file of secrets",
                "Work without it; if it must change, say so when you finish.",
            )

    async def hides(self, path: str, text: str) -> bool:
        """True if the model may not read `text` of the file `path`."""
        if path in {glob.removeprefix("/") for glob in self.write}:
            return False
        if is_secret_file(path):
            return True
        return await self.has_secret_in(text)

    async def has_secret_in(self, text: str) -> bool:
        """True if a text that is not from a file, such as the log of a check, contains a secret."""
        return self.has_secret is not finds_no_secret and await asyncio.to_thread(self.has_secret, text)
