"""What no model is shown: whatever it reads goes to its endpoint, and a secret that was sent there is out.

Files are withheld by their names, and by their content as far as it can be judged. A lane whose `write` names such a
file by its whole path, without a wildcard, declares that its model works on it; then it is shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from core.model.secret_files import is_secret_file
from lanes.executors.errors import EditError

HasSecret = Callable[[str], bool]
"""Whether a text holds a secret."""


def finds_no_secret(_text: str) -> bool:
    """A `HasSecret` where texts cannot be judged."""
    return False


@dataclass(frozen=True, slots=True)
class WithheldText:
    """What a lane that may `write` these globs withholds from its model; `has_secret` judges texts."""

    write: tuple[str, ...] = ()
    has_secret: HasSecret = finds_no_secret

    async def check(self, path: str, text: str, shown: str) -> None:
        """Raise `EditError` when the model may not read this text of the file `path`, which it calls `shown`."""
        if await self.hides(path, text):
            raise EditError(
                "withheld",
                f"{shown} is kept from models, for it holds a secret or is a file of secrets",
                "Work without it; if it must change, say so when you finish.",
            )

    async def hides(self, path: str, text: str) -> bool:
        """Whether the model may not read this text of the file `path`."""
        if path in {glob.removeprefix("/") for glob in self.write}:
            return False
        if is_secret_file(path):
            return True
        return await self.has_secret_in(text)

    async def has_secret_in(self, text: str) -> bool:
        """Whether a text that is not a file's, such as the log of a check, holds a secret."""
        return self.has_secret is not finds_no_secret and await asyncio.to_thread(self.has_secret, text)
