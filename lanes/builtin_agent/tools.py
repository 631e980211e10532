"""The tools of the model: list, read, search, edit, write, delete, check, finish. Their answers are text for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from core.model.errors import PermanentError
from lanes.builtin_agent.virtual_workspace import VirtualWorkspace, show
from lanes.executors.errors import EditError
from lanes.executors.text import suggest_text
from lanes.models import ToolCall, ToolSpec

FINISH: Final = "finish"
_LISTED: Final = 400
_FOUND: Final = 60
_LINES: Final = 400
_CHARS: Final = 40_000
_LINE_CHARS: Final = 400
LOG_WITHHELD: Final = "What it printed holds a secret and is kept from models."

Checks = Callable[[str, str], Awaitable[str]]
"""Runs the declared check of this name on this tree; what it said."""


def _tool(name: str, describe: str, required: tuple[str, ...] = (), /, **parameters: str) -> ToolSpec:
    properties = {
        key: {"type": "integer" if key in ("from_line", "lines") else "string", "description": said}
        for key, said in parameters.items()
    }
    return ToolSpec(name, describe, {"type": "object", "properties": properties, "required": list(required)})


_PATH: Final = "from the repository's root"
TOOLS: Final = (
    _tool("list_files", "Lists files.", glob="such as docs/** or **/*.py; everything without it"),
    _tool(
        "read_file",
        "Reads a file, with line numbers.",
        ("path",),
        path=_PATH,
        from_line="1 is the first",
        lines="how many",
    ),
    _tool("search", "Finds a text in files; capitals do not matter.", ("text",), text="taken literally", glob="where"),
    _tool(
        "edit_file",
        "Replaces a text that stands exactly once in a file.",
        ("path", "old", "new"),
        path=_PATH,
        old="the text as it stands there, without line numbers",
        new="what shall stand there instead",
    ),
    _tool(
        "write_file",
        "Makes a file, or gives it a whole new text.",
        ("path", "text"),
        path=_PATH,
        text="all of the file",
    ),
    _tool("delete_file", "Deletes a file.", ("path",), path=_PATH),
    _tool("run_check", "Runs one of the lane's checks on the files as they are now.", ("name",), name="of the check"),
    _tool(FINISH, "Says that the change is complete.", ("summary",), summary="one sentence about the change"),
)


@dataclass(slots=True)
class AgentTools:
    """The tools on one desk. `changes` counts the writes so far; `checks` are the names that may be run.

    `refused` says why the last write was not done; empty once one was.
    """

    desk: VirtualWorkspace
    checks: tuple[str, ...]
    run_check: Checks
    changes: int = 0
    refused: str = ""
    may_finish: bool = field(default=False, init=False)

    @property
    def names(self) -> frozenset[str]:
        """The names of all tools."""
        return frozenset(tool.name for tool in TOOLS)

    async def call(self, call: ToolCall, before: str | None = None) -> str:
        """Do what a call says, and answer it; what cannot be done is answered with why, and what to do instead.

        With `before`, what an earlier try was told of this very call, only what changes the desk is done again.
        """
        if call.error:
            return f"Not done. The arguments cannot be used: {call.error} Call the tool again with a JSON object."
        does = _DOES.get(call.name)
        if does is None:
            return f"There is no tool {call.name[:60]!r}; there are: {', '.join(sorted(self.names))}."
        if before is not None and call.name not in _CHANGES:
            self.may_finish = self.may_finish or (call.name == FINISH)
            return before
        try:
            return await does(self, _Words(call.arguments))
        except EditError as error:
            if call.name in _CHANGES:
                self.refused = error.problem.message
            return f"Not done. {error.problem.sentence()}"
        except UnicodeEncodeError:
            return "Not done. The text has invalid characters; write it again."

    async def _list(self, words: _Words) -> str:
        found = self.desk.paths(words.text("glob", "**"))
        more = f"\n… and {len(found) - _LISTED} more; give a narrower glob." if len(found) > _LISTED else ""
        return "\n".join(map(show, found[:_LISTED])) + more or "No file."

    async def _read(self, words: _Words) -> str:
        path = words.text("path")
        lines = (await self.desk.text(path)).split("\n")
        begin = max(1, words.number("from_line", 1))
        shown = lines[begin - 1 : begin - 1 + max(1, min(words.number("lines", _LINES), 2000))]
        said = "\n".join(f"{begin + n}\t{line[:2000]}" for n, line in enumerate(shown))[:_CHARS]
        return f"{show(path)}, {len(lines)} lines:\n{said}"

    async def _search(self, words: _Words) -> str:
        wanted = words.text("text").casefold()
        found: list[str] = []
        hidden = 0
        for path, text in await self.desk.texts(self.desk.paths(words.text("glob", "**"))):
            if wanted not in text.casefold():
                continue
            if await self.desk.withheld.hides(path, text):
                hidden += 1
                continue
            for n, line in enumerate(text.split("\n"), 1):
                if wanted in line.casefold():
                    found.append(f"{show(path)}:{n}: {line.strip()[:_LINE_CHARS]}")
            if len(found) > _FOUND:
                return "\n".join(found[:_FOUND]) + "\n… and more; search for something rarer, or give a glob."
        if hidden:
            found.append(f"… and in {hidden} files that are kept from models, for they hold secrets.")
        return "\n".join(found) or "Not found."

    async def _edit(self, words: _Words) -> str:
        path, old, new = words.text("path"), words.text("old"), words.text("new", "")
        text = await self.desk.text(path)
        count = text.count(old)
        if count != 1:
            hint = (
                suggest_text(text.encode("utf-8", "surrogateescape"), old)
                if not count
                else "Quote more of what is around it."
            )
            what = f"{show(path)} has that text {count} times" if count else f"{show(path)} does not have that text"
            raise EditError("not_found", what, hint)
        return self._write(path, text.replace(old, new))

    async def _whole(self, words: _Words) -> str:
        return self._write(words.text("path"), words.text("text", ""))

    def _write(self, path: str, text: str) -> str:
        self.desk.write(path, text)
        self._changed()
        return f"Written: {show(path)}, {len(text.splitlines())} lines."

    async def _delete(self, words: _Words) -> str:
        self.desk.remove(words.text("path"))
        self._changed()
        return f"Deleted: {show(words.text('path'))}."

    def _changed(self) -> None:
        self.changes, self.refused = self.changes + 1, ""

    async def _check(self, words: _Words) -> str:
        name = words.text("name")
        if name not in self.checks:
            raise EditError("no_such_check", f"There is no check {name[:60]!r}", f"There are: {_list(self.checks)}.")
        try:
            log = await self.run_check(name, await self.desk.result())
        except PermanentError as error:
            return f"It could not run. {error.problem.sentence()}"
        return LOG_WITHHELD if await self.desk.withheld.leaking(log) else log

    async def _finish(self, _words: _Words) -> str:
        self.may_finish = True
        return "Done."


@dataclass(frozen=True, slots=True)
class _Words:
    """The arguments of a call as a model wrote them: anything may be missing, or of another type."""

    given: Mapping[str, Any]

    def text(self, key: str, otherwise: str | None = None) -> str:
        """The text under `key`; raises `EditError` when it must be there and is not."""
        found = self.given.get(key)
        if isinstance(found, str) and (found or otherwise is not None):
            return found
        if isinstance(found, int | float) and not isinstance(found, bool):
            return str(found)
        if otherwise is None or found is not None:
            raise EditError(
                "bad_call", f"The argument {key!r} must be a text", "Call the tool again with all arguments."
            )
        return otherwise

    def number(self, key: str, otherwise: int) -> int:
        """The number under `key`, within what lines of files have."""
        found = self.given.get(key)
        if isinstance(found, str) and found.strip().isdecimal() and len(found) < 10:
            found = int(found)
        if isinstance(found, float) and abs(found) < 1e9:
            found = int(found)
        return max(-(10**9), min(found, 10**9)) if isinstance(found, int) and not isinstance(found, bool) else otherwise


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"


_DOES: Final[Mapping[str, Callable[[AgentTools, _Words], Awaitable[str]]]] = {
    "list_files": AgentTools._list,  # noqa: SLF001 - the table of this very class
    "read_file": AgentTools._read,  # noqa: SLF001
    "search": AgentTools._search,  # noqa: SLF001
    "edit_file": AgentTools._edit,  # noqa: SLF001
    "write_file": AgentTools._whole,  # noqa: SLF001
    "delete_file": AgentTools._delete,  # noqa: SLF001
    "run_check": AgentTools._check,  # noqa: SLF001
    FINISH: AgentTools._finish,  # noqa: SLF001
}
_CHANGES: Final = frozenset({"edit_file", "write_file", "delete_file"})
