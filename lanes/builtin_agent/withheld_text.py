"""What no model is shown: whatever it reads goes to its endpoint, and a secret that went there is no secret any more.

Files are withheld by what they are called, and by what they hold as far as somebody can tell. A lane whose `write`
names such a file by its whole path, without a wildcard, says thereby that its model works on it; then it is shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from core.model.secret_files import is_secret_file
from lanes.executors.errors import EditError

Leaks = Callable[[str], bool]
"""Whether a text holds a secret."""


def leaks_unknown(_text: str) -> bool:
    """A `Leaks` where nobody can tell by the text."""
    return False


@dataclass(frozen=True, slots=True)
class WithheldText:
    """What a lane that may `write` these globs keeps from its model; `leaks` judges texts."""

    write: tuple[str, ...] = ()
    leaks: Leaks = leaks_unknown

    async def check(self, path: str, text: str, shown: str) -> None:
        """Raise `EditError` when the model may not read this text of the file `path`; `shown` is its name in that."""
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
        return await self.leaking(text)

    async def leaking(self, text: str) -> bool:
        """Whether a text of no file, such as a check's log, holds a secret."""
        return self.leaks is not leaks_unknown and await asyncio.to_thread(self.leaks, text)
