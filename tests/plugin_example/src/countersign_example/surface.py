"""The surface `bulletin`: a folder is the chat. A file in ``in/`` is said or pressed, a file in ``out/`` is shown."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bot.cards.diff import DiffView
from bot.cards.model import Card
from bot.plugins import PluginContext
from bot.surfaces.port import (
    NO_EXTRAS,
    Attachment,
    ButtonPress,
    Buttons,
    Extras,
    Inbox,
    IncomingMessage,
    Place,
    RenderedCard,
    Surface,
)
from core.model.errors import UsageError

EVERY_S = 0.1


class Bulletin:
    """One board that everybody reads; who may write into the folder is who they say they are."""

    name = "bulletin"

    def __init__(self, folder: Path) -> None:
        self._in, self._out = folder / "in", folder / "out"
        self._numbers = itertools.count(1)

    async def run(self, inbox: Inbox) -> None:
        for folder in (self._in, self._out):
            folder.mkdir(parents=True, exist_ok=True)
        while True:
            for file in sorted(self._in.glob("*.json")):
                await inbox.accept(self._said(file))
                file.unlink()
            await asyncio.sleep(EVERY_S)

    def _said(self, file: Path) -> IncomingMessage | ButtonPress:
        said = json.loads(file.read_text(encoding="utf-8"))
        place = Place(self.name, "board")
        if "button" in said:
            return ButtonPress(said["who"], place, said["button"], said["on"], file.stem)
        return IncomingMessage(said["who"], place, said["text"], file.stem, file.stem, addressed=True)

    def repositories(self, place: Place) -> tuple[str, ...] | None:
        """The board is for all repositories; without this only private places would be heard."""
        return None

    def routes(self, inbox: Inbox) -> Sequence[Any]:
        return ()

    def render(self, card: Card, diff: DiffView | None, buttons: Buttons, *, delivered: bool) -> RenderedCard:
        rows = len(card.staged.files) if card.staged else 0
        shown = card.limited_to(rows, 0 if delivered else None)
        ids = {action.label: id_ for action in shown.actions if (id_ := buttons.id_of(action))}
        payload = {"title": f"{shown.label} {shown.title}", "state": shown.state.value, "buttons": ids}
        return RenderedCard(payload, hides_lines=card.awaits_approval and not delivered)

    async def post(self, place: Place, drawn: RenderedCard, reply_to: str | None) -> str:
        return self._show("card", drawn.payload)

    async def edit(self, place: Place, message_id: str, drawn: RenderedCard) -> str:
        return self._show("card", drawn.payload, message_id)

    async def attach(
        self, place: Place, files: Sequence[Attachment], words: str, reply_to: str | None
    ) -> Sequence[str]:
        payload = {"words": words, "files": {file.name: file.content.decode() for file in files}}
        return [self._show("files", payload)]

    async def send_text(
        self, place: Place, text: str, reply_to: str | None, only_to: str | None, extras: Extras = NO_EXTRAS
    ) -> Sequence[str]:
        return [self._show("words", {"text": text})]

    async def check_access(self, said: IncomingMessage | ButtonPress) -> str | None:
        return None

    async def complete_message(self, said: IncomingMessage) -> IncomingMessage | None:
        return said

    async def acknowledge(self, place: Place, message_id: str) -> None:
        return None

    async def close(self) -> None:
        return None

    async def check(self) -> Sequence[Mapping[str, Any]]:
        return [{"check": self.name, "verdict": "ok", "detail": f"{self._in.parent}", "mend": ""}]

    def _show(self, kind: str, payload: Mapping[str, Any], id_: str | None = None) -> str:
        """Show it, in whole or not at all."""
        id_ = id_ or f"{os.getpid()}-{next(self._numbers)}"
        new = self._out / f"{id_}.new"
        new.write_text(json.dumps({"kind": kind, "id": id_, **payload}), encoding="utf-8")
        new.replace(self._out / f"{id_}.json")
        return id_


def make(context: PluginContext) -> Surface:
    """The factory; the setting `folder` is where the board is."""
    folder = context.settings.get("folder")
    if not isinstance(folder, str) or not Path(folder).is_absolute():
        raise UsageError("bad_setting", "`folder` is missing, or is no absolute path", "Name the folder of the board.")
    return Bulletin(Path(folder))
