"""Transcripts and logs of a task: what a model, an agent or a check wrote, as text, a part at a time.

All of it is untrusted: it is escaped, odd characters are written out, and secrets are masked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.cards.safe import one_line, visible_lines
from bot.web.site.site_context import SiteContext, task_number, visitor_of
from core.model.artifact import Artifact
from core.model.errors import NotFoundError
from core.model.masking import Mask
from core.strict_json import NotJsonError, read_object

SUFFIXES: Final = (".log", ".txt", ".jsonl")
"""The names of artifacts that can be read as a page."""
PART_BYTES: Final = 64 * 1024
MAX_ENTRY_CHARS: Final = 8_000
_MAX_DEPTH: Final = 30


@dataclass(frozen=True, slots=True)
class TranscriptEntry:
    """One message of a transcript: who speaks, and the text; a log is one entry without a speaker."""

    who: str
    text: str


def router(site: SiteContext) -> APIRouter:
    """The route of transcripts."""
    routes = APIRouter()

    @routes.get("/tasks/{number:int}/transcripts/{sha256}")
    async def transcript(request: Request) -> Response:
        number = task_number(request)
        document = await site.services.documents.document(number, visitor_of(request).session.actor)
        wanted = [each for each in readable(document.artifacts) if each.sha256 == request.path_params["sha256"]]
        if not wanted:
            raise NotFoundError("no_such_artifact", "the task has no such transcript", "Go back to the task.")
        parts = split_parts(await site.services.queries.artifact(wanted[-1]))
        part = _part(request, len(parts))
        mask = site.services.queries.settings().mask
        values: dict[str, Any] = {
            "task": document.task,
            "artifact": wanted[-1],
            "entries": entries_of(wanted[-1].name, parts[part], mask),
            "part": part,
            "count": len(parts),
        }
        return site.render.page(request, "transcript.html", **values)

    return routes


def readable(artifacts: Sequence[Artifact]) -> list[Artifact]:
    """The transcripts and logs among a task's files."""
    return [artifact for artifact in artifacts if artifact.name.endswith(SUFFIXES)]


def split_parts(content: bytes) -> list[bytes]:
    """The content in parts of about `PART_BYTES`, at line ends where lines are not longer; always at least one."""
    parts: list[bytes] = []
    begin = 0
    while begin < len(content):
        end = begin + PART_BYTES
        line_end = content.rfind(b"\n", begin, end) + 1
        end = line_end if len(content) > end and line_end > begin else end
        parts.append(content[begin:end])
        begin = end
    return parts or [b""]


def entries_of(name: str, part: bytes, mask: Mask) -> list[TranscriptEntry]:
    """The messages of a part of a transcript, or the part of a log as one entry."""
    text = part.decode("utf-8", "replace")
    if not name.endswith(".jsonl"):
        return [TranscriptEntry("", visible_lines(mask(text)))] if text else []
    return [_entry(line, mask) for line in text.splitlines() if line.strip()]


def message_text(message: Mapping[str, Any]) -> str:
    """The words of a message, and the tools that it calls with their arguments."""
    text = message.get("text", message.get("content", ""))
    lines = [text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)]
    calls = message.get("calls")
    lines += [
        f"→ {call.get('name')} {json.dumps(call.get('arguments'), ensure_ascii=False)}"
        for call in (calls if isinstance(calls, list) else ())
        if isinstance(call, Mapping)
    ]
    return "\n".join(line for line in lines if line)


def shown_text(text: str, mask: Mask) -> str:
    """A text of a program as the page shows it: masked, with odd characters written out, and bounded."""
    masked_text = mask(text)  # before it is cut, because half a secret is not recognised
    cut = len(masked_text) - MAX_ENTRY_CHARS
    more = f"\n… {cut:,} more characters; download the file to see them." if cut > 0 else ""
    return visible_lines(masked_text[:MAX_ENTRY_CHARS]) + more


def _entry(line: str, mask: Mask) -> TranscriptEntry:
    try:
        message = read_object(line, max_chars=PART_BYTES * 2, max_depth=_MAX_DEPTH)
    except NotJsonError:
        return TranscriptEntry("", shown_text(line, mask))
    role = message.get("role")
    if isinstance(role, str):
        tool = message.get("tool")
        who = f"{role}: {tool}" if isinstance(tool, str) and tool else role
        return TranscriptEntry(one_line(who, 60), shown_text(message_text(message), mask))
    kind = message.get("type")
    return TranscriptEntry(one_line(kind, 60) if isinstance(kind, str) else "", shown_text(line, mask))


def _part(request: Request, count: int) -> int:
    """The part that the address names, counted from 1 there and from 0 here; the first for any other text."""
    value = request.query_params.get("part", "1")
    number = int(value) if value.isascii() and value.isdecimal() and len(value) < 7 else 1
    if not 0 < number <= count:
        raise NotFoundError("no_such_part", "the transcript has no such part", "Begin with its first part.")
    return number - 1
