"""The builtin agent's tools: list, read, search, edit, write, delete, check, finish. Results are text for the model."""

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
_MAX_LISTED: Final = 400
_MAX_MATCHES: Final = 60
_DEFAULT_LINES: Final = 400
_MAX_LINES: Final = 2_000
_MAX_CHARS: Final = 40_000
_MAX_LINE_CHARS: Final = 2_000
_MAX_MATCH_CHARS: Final = 400
LOG_WITHHELD: Final = "Its output contains a secret and is withheld from models."

RunCheck = Callable[[str, str], Awaitable[str]]
"""Runs the named check of the lane on a tree; returns its result with its log."""


def _tool(name: str, purpose: str, required: tuple[str, ...] = (), /, **parameters: str) -> ToolSpec:
    properties = {
        key: {"type": "integer" if key in ("from_line", "lines") else "string", "description": description}
        for key, description in parameters.items()
    }
    return ToolSpec(name, purpose, {"type": "object", "properties": properties, "required": list(required)})


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
    _tool("search", "Finds a text in files, ignoring case.", ("text",), text="taken literally", glob="where"),
    _tool(
        "edit_file",
        "Replaces a text that occurs exactly once in a file.",
        ("path", "old", "new"),
        path=_PATH,
        old="the exact text, without line numbers",
        new="the text that replaces it",
    ),
    _tool(
        "write_file",
        "Creates a file, or replaces all of its text.",
        ("path", "text"),
        path=_PATH,
        text="all of the file",
    ),
    _tool("delete_file", "Deletes a file.", ("path",), path=_PATH),
    _tool("run_check", "Runs one of the lane's checks on the current files.", ("name",), name="of the check"),
    _tool(FINISH, "Reports that the change is complete.", ("summary",), summary="one sentence about the change"),
)


@dataclass(slots=True)
class AgentTools:
    """The tools on a workspace; `changes` counts the writes so far, and `checks` names the checks that may be run.

    `refused` says why the last write was refused; a successful write clears it.
    """

    workspace: VirtualWorkspace
    checks: tuple[str, ...]
    run_check: RunCheck
    changes: int = 0
    refused: str = ""
    may_finish: bool = field(default=False, init=False)

    @property
    def names(self) -> frozenset[str]:
        """The names of all tools."""
        return frozenset(tool.name for tool in TOOLS)

    async def call(self, call: ToolCall, earlier: str | None = None) -> str:
        """Run a call and return its result; the result of a failed call says why and what to do instead.

        With `earlier`, the result of the same call in an earlier try, only calls that write are run again.
        """
        if call.error:
            return f"Not done. The arguments cannot be used: {call.error} Call the tool again with a JSON object."
        tool = _TOOL_METHODS.get(call.name)
        if tool is None:
            return f"There is no tool {call.name[:60]!r}; there are: {', '.join(sorted(self.names))}."
        if earlier is not None and call.name not in _WRITING:
            self.may_finish = self.may_finish or (call.name == FINISH)
            return earlier
        try:
            return await tool(self, _Arguments(call.arguments))
        except EditError as error:
            if call.name in _WRITING:
                self.refused = error.problem.message
            return f"Not done. {error.problem.sentence()}"
        except UnicodeEncodeError:
            return "Not done. The text has invalid characters; write it again."

    async def _list(self, arguments: _Arguments) -> str:
        paths = self.workspace.paths(arguments.text("glob", "**"))
        rest = len(paths) - _MAX_LISTED
        more = f"\n… and {rest} more; give a narrower glob." if rest > 0 else ""
        return "\n".join(map(show, paths[:_MAX_LISTED])) + more or "No file."

    async def _read(self, arguments: _Arguments) -> str:
        path = arguments.text("path")
        lines = (await self.workspace.text(path)).split("\n")
        first = max(1, arguments.number("from_line", 1))
        count = max(1, min(arguments.number("lines", _DEFAULT_LINES), _MAX_LINES))
        selected = lines[first - 1 : first - 1 + count]
        numbered = "\n".join(f"{first + n}\t{line[:_MAX_LINE_CHARS]}" for n, line in enumerate(selected))[:_MAX_CHARS]
        return f"{show(path)}, {len(lines)} lines:\n{numbered}"

    async def _search(self, arguments: _Arguments) -> str:
        query = arguments.text("text").casefold()
        matches: list[str] = []
        withheld = 0
        for path, text in await self.workspace.texts(self.workspace.paths(arguments.text("glob", "**"))):
            if query not in text.casefold():
                continue
            if await self.workspace.withheld.hides(path, text):
                withheld += 1
                continue
            for n, line in enumerate(text.split("\n"), 1):
                if query in line.casefold():
                    matches.append(f"{show(path)}:{n}: {line.strip()[:_MAX_MATCH_CHARS]}")
            if len(matches) > _MAX_MATCHES:
                return "\n".join(matches[:_MAX_MATCHES]) + "\n… and more; search for something rarer, or give a glob."
        if withheld:
            matches.append(f"… and in {withheld} files that are withheld from models because they contain secrets.")
        return "\n".join(matches) or "Not found."

    async def _edit(self, arguments: _Arguments) -> str:
        path, old, new = arguments.text("path"), arguments.text("old"), arguments.text("new", "")
        text = await self.workspace.text(path)
        count = text.count(old)
        if count == 0:
            hint = suggest_text(text.encode("utf-8", "surrogateescape"), old)
            raise EditError("not_found", f"{show(path)} does not have that text", hint)
        if count > 1:
            raise EditError(
                "not_found", f"{show(path)} has that text {count} times", "Quote more of the surrounding text."
            )
        return self._put(path, text.replace(old, new))

    async def _write(self, arguments: _Arguments) -> str:
        return self._put(arguments.text("path"), arguments.text("text", ""))

    def _put(self, path: str, text: str) -> str:
        self.workspace.write(path, text)
        self._count_change()
        return f"Written: {show(path)}, {len(text.splitlines())} lines."

    async def _delete(self, arguments: _Arguments) -> str:
        self.workspace.remove(arguments.text("path"))
        self._count_change()
        return f"Deleted: {show(arguments.text('path'))}."

    def _count_change(self) -> None:
        self.changes, self.refused = self.changes + 1, ""

    async def _check(self, arguments: _Arguments) -> str:
        name = arguments.text("name")
        if name not in self.checks:
            known = ", ".join(self.checks) or "none"
            raise EditError("no_such_check", f"There is no check {name[:60]!r}", f"There are: {known}.")
        try:
            log = await self.run_check(name, await self.workspace.result())
        except PermanentError as error:
            return f"It could not run. {error.problem.sentence()}"
        return LOG_WITHHELD if await self.workspace.withheld.has_secret_in(log) else log

    async def _finish(self, _arguments: _Arguments) -> str:
        self.may_finish = True
        return "Done."


@dataclass(frozen=True, slots=True)
class _Arguments:
    """The arguments of a call, from a model: any of them may be missing or have another type."""

    values: Mapping[str, Any]

    def text(self, key: str, default: str | None = None) -> str:
        """The text under `key`; raises `EditError` if it has another type, or is missing without a `default`."""
        value = self.values.get(key)
        if isinstance(value, str) and (value or default is not None):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        if default is None or value is not None:
            raise EditError(
                "bad_call", f"The argument {key!r} must be a text", "Call the tool again with all arguments."
            )
        return default

    def number(self, key: str, default: int) -> int:
        """The number under `key`, limited to ±10⁹; `default` if it is not a number."""
        value = self.values.get(key)
        if isinstance(value, str) and value.strip().isdecimal() and len(value) < 10:
            value = int(value)
        if isinstance(value, float) and abs(value) < 1e9:
            value = int(value)
        return max(-(10**9), min(value, 10**9)) if isinstance(value, int) and not isinstance(value, bool) else default


_TOOL_METHODS: Final[Mapping[str, Callable[[AgentTools, _Arguments], Awaitable[str]]]] = {
    "list_files": AgentTools._list,  # noqa: SLF001 - the table of this class
    "read_file": AgentTools._read,  # noqa: SLF001
    "search": AgentTools._search,  # noqa: SLF001
    "edit_file": AgentTools._edit,  # noqa: SLF001
    "write_file": AgentTools._write,  # noqa: SLF001
    "delete_file": AgentTools._delete,  # noqa: SLF001
    "run_check": AgentTools._check,  # noqa: SLF001
    FINISH: AgentTools._finish,  # noqa: SLF001
}
_WRITING: Final = frozenset({"edit_file", "write_file", "delete_file"})
