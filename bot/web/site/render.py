"""Templates to responses: Jinja2 with everything escaped, whole pages or one block of them for htmx."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2_fragments import render_block
from markupsafe import Markup, escape

from bot.cards.parts import ICONS, ProblemPart
from bot.cards.problem_text import TERMINAL, capitalize, command_line
from bot.cards.safe import visible, visible_lines
from bot.cards.times import ago, until
from bot.web.site.session import Visitor
from core.model.advice import Advice, CommandName, Suggestion
from core.model.errors import Kind, Problem

if TYPE_CHECKING:
    from fastapi import Request

FOLDER: Final = Path(__file__).parents[1]
STATUS: Final = {
    Kind.FAILED: 500,
    Kind.USAGE: 400,
    Kind.REFUSED: 403,
    Kind.BLOCKED: 403,
    Kind.CONFLICT: 409,
    Kind.MISSING: 404,
    Kind.UNAVAILABLE: 503,
}
"""The HTTP status of a problem."""
_PAGES: Final = {
    CommandName.PROGRESS: ("/tasks", "the list of tasks"),
    CommandName.QUEUE: ("/queue", "the queue"),
    CommandName.GPU: ("/endpoints", "the endpoints"),
}
_TASK_PAGES: Final = {
    CommandName.SHOW: ("", "the page of {label}"),
    CommandName.WHY: ("", "the page of {label}"),
    CommandName.DIFF: ("#diff", "the diff of {label}"),
    CommandName.REPLY: ("#reply", "your reply"),
    CommandName.REJECT: ("#decide", "your reason"),
    CommandName.APPROVE: ("#decide", "the end of {label}"),
}


class Renderer:
    """Renders templates; `asset` addresses carry the hash of the file, so that browsers may keep it."""

    def __init__(self) -> None:
        self.assets = _assets(FOLDER / "static")
        self.has_sample: Callable[[], bool] = lambda: False  # whether the pages lead to the first steps
        self._environment = Environment(
            loader=FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(asset=self.asset, icons={state.value: icon for state, icon in ICONS.items()})
        self._environment.filters.update(visible=visible, lines=visible_lines, advice=problem_html)

    def asset(self, name: str) -> str:
        """The address of a file that comes with the pages."""
        return f"/static/{name}?v={self.assets[name].version}"

    def page(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A whole page."""
        text = self._environment.get_template(template).render(self._values(request, values))
        return _html(text, status)

    def fragment(self, request: Request, template: str, block: str, **values: Any) -> HTMLResponse:
        """One block of a page, for htmx to put into an open one."""
        return _html(render_block(self._environment, template, block, self._values(request, values)), 200)

    def problem(self, request: Request, problem: Problem, status: int | None = None) -> HTMLResponse:
        """A page that says what went wrong and what to do."""
        return self.page(request, "problem.html", status or STATUS[problem.kind], problem=problem)

    def _values(self, request: Request, values: dict[str, Any]) -> dict[str, Any]:
        now = datetime.now(UTC)
        visitor: Visitor | None = getattr(request.state, "visitor", None)
        return {
            "visitor": visitor,
            "csrf": visitor.csrf if visitor else "",
            "path": request.url.path,
            "has_sample": self.has_sample(),
            "ago": lambda time: ago(time.isoformat() if isinstance(time, datetime) else time, now),
            "until": lambda time: until(time.isoformat() if isinstance(time, datetime) else time, now),
            **values,
        }


def _html(text: str, status: int) -> HTMLResponse:
    return HTMLResponse(text.encode("utf-8", "backslashreplace"), status)


def problem_html(problem: Problem | ProblemPart) -> Markup:
    """A problem and what to do about it, with links to pages in the place of commands."""
    message = capitalize(problem.message)
    end = "" if message.endswith((".", "?", "!")) else "."
    return escape(visible(f"{message}{end} ")) + mend_html(problem.mend)


def mend_html(mend: str | Advice) -> Markup:
    """What to do about a problem; a command that has a page is a link to it, another one is for the terminal."""
    if isinstance(mend, str):
        return escape(visible(mend))
    return Markup("").join(escape(part) if isinstance(part, str) else _command_html(part) for part in mend.parts)


def _command_html(suggestion: Suggestion) -> Markup:
    if suggestion.command in _PAGES:
        address, label = _PAGES[suggestion.command]
        return Markup('<a href="{}">{}</a>').format(address, label)
    if suggestion.command in _TASK_PAGES and suggestion.number is not None:
        anchor, label = _TASK_PAGES[suggestion.command]
        text = label.format(label=f"#{suggestion.number}")
        return Markup('<a href="/tasks/{}{}">{}</a>').format(suggestion.number, anchor, text)
    return Markup("<code>{}</code>").format(visible(command_line(suggestion, TERMINAL) or suggestion.command.value))


class Asset:
    """A file of the package that browsers load; `version` changes with its content."""

    def __init__(self, content: bytes, media_type: str) -> None:
        self.content, self.media_type = content, media_type
        self.version = hashlib.sha256(content).hexdigest()[:12]


_MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


def _assets(folder: Path) -> dict[str, Asset]:
    """Every file below `folder`, by its path; they are few and small, so all of them are in memory."""
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in _MEDIA_TYPES]
    return {path.relative_to(folder).as_posix(): Asset(path.read_bytes(), _MEDIA_TYPES[path.suffix]) for path in files}
