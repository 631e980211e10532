"""The tools: ask, watch, list, show, diff, reply, cancel. None of them decides; a person approves elsewhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from pydantic import ValidationError

from bot.mcp.arguments import (
    Arguments,
    AskArguments,
    DiffArguments,
    ListArguments,
    ReplyArguments,
    TaskArguments,
    WatchArguments,
)
from bot.mcp.quoted import quoted, shown
from bot.mcp.services import McpHome
from core.model.api_token import TokenScope
from core.model.errors import NotFoundError, RefusedError, UsageError
from core.model.search_query import SearchQuery
from core.model.task_filter import TaskFilter
from core.model.turn import Actor
from core.services.requests import NewRequest

LOOK_EVERY_S: Final = 0.5
PATIENCE: Final = 3
"""Failed attempts after which a task that waits for an unavailable service counts as at rest."""


@dataclass(frozen=True, slots=True)
class Caller:
    """For whom a client calls tools: a person, with the scopes and repositories of its token.

    `id` keeps the keys of repeated calls apart from those of others.
    """

    id: str
    actor: Actor
    scopes: frozenset[TokenScope]


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool: how it is described to a client's model, the scope it needs, its arguments and what it does."""

    name: str
    description: str
    scope: TokenScope
    arguments: type[Arguments]
    call: Callable[[McpHome, Caller, Any], Awaitable[dict[str, Any]]]

    @property
    def only_reads(self) -> bool:
        """Whether it changes nothing."""
        return self.scope is TokenScope.READ


async def _ask(home: McpHome, caller: Caller, given: AskArguments) -> dict[str, Any]:
    number = await home.requests.ask(
        NewRequest(
            text=given.text,
            actor=caller.actor,
            repo=given.repo,
            lane=given.lane,
            dedup=_dedup(caller, given.key),
            parameters=given.parameters,
        )
    )
    return await _task(home, caller, number)


async def _reply(home: McpHome, caller: Caller, given: ReplyArguments) -> dict[str, Any]:
    await home.requests.reply(given.number, given.text, caller.actor, _dedup(caller, given.key))
    return await _task(home, caller, given.number)


async def _cancel(home: McpHome, caller: Caller, given: TaskArguments) -> dict[str, Any]:
    await home.requests.cancel(given.number, caller.actor)
    return await _task(home, caller, given.number)


async def _show(home: McpHome, caller: Caller, given: TaskArguments) -> dict[str, Any]:
    return await _task(home, caller, given.number)


async def _list(home: McpHome, caller: Caller, given: ListArguments) -> dict[str, Any]:
    search = SearchQuery.parse(given.search) if given.search is not None else None
    wanted = TaskFilter(state=given.state, repo=given.repo, search=search, before=given.before)
    page = await home.task_search.page(wanted, given.limit, caller.actor)
    return {"tasks": quoted([task.to_json() for task in page.tasks]), "next_before": page.next_before}


async def _diff(home: McpHome, caller: Caller, given: DiffArguments) -> dict[str, Any]:
    document = await home.documents.document(given.number, caller.actor)
    patch = await home.diffs.of(document.task)
    if patch is None:
        raise NotFoundError("no_diff", f"#{given.number} has nothing staged", "Look at its state with `show`.")
    text = await asyncio.to_thread(shown, patch.decode("utf-8", "surrogateescape"))  # long diffs take a while
    end = given.offset + given.limit
    return {
        "number": given.number,
        "digest": document.task.staged.digest if document.task.staged else None,
        "diff": text[given.offset : end],
        "total_chars": len(text),
        "next_offset": end if end < len(text) else None,
    }


async def _watch(home: McpHome, caller: Caller, given: WatchArguments) -> dict[str, Any]:
    """Look again whenever something happened, until the state is reached or the time is over."""
    deadline_s = time.monotonic() + given.timeout_s
    while True:
        newest = await home.queries.newest_event()
        document = await home.documents.document(given.number, caller.actor)
        is_reached = (
            document.task.state in given.until
            if given.until
            else (await home.queries.activity(given.number, caller.actor)).rests(PATIENCE)
        )
        if is_reached or not await _news(home, newest, deadline_s):
            return {"reached": is_reached, "task": quoted(document.to_json())}


async def _news(home: McpHome, newest: int, deadline_s: float) -> bool:
    """Wait for an event after `newest`; False if the time is over first."""
    while (left_s := deadline_s - time.monotonic()) > 0:
        await asyncio.sleep(min(LOOK_EVERY_S, left_s))
        if await home.queries.newest_event() != newest:
            return True
    return False


async def _task(home: McpHome, caller: Caller, number: int) -> dict[str, Any]:
    document = await home.documents.document(number, caller.actor)
    return {"task": quoted(document.to_json())}


def _dedup(caller: Caller, key: str | None) -> str | None:
    return f"{caller.id}:{key}" if key is not None else None


TOOLS: Final[Mapping[str, Tool]] = {
    tool.name: tool
    for tool in (
        Tool(
            "ask",
            "Ask for a change to a repository, in plain English. Policy chooses the lane, the change is made in a "
            "sandbox, and a person approves the exact diff before anything is published. Answers with the new task.",
            TokenScope.REQUEST,
            AskArguments,
            _ask,
        ),
        Tool(
            "watch",
            "Wait until a task is in one of the states `until`, or without them until it waits for a person or has "
            "ended. `reached` is false if the time was over first; call it again then.",
            TokenScope.READ,
            WatchArguments,
            _watch,
        ),
        Tool("list", "List tasks, the newest first.", TokenScope.READ, ListArguments, _list),
        Tool(
            "show",
            "Everything about one task: state, turns, files, findings of the guard, who has to approve.",
            TokenScope.READ,
            TaskArguments,
            _show,
        ),
        Tool("diff", "The staged diff of a task, as text, in parts.", TokenScope.READ, DiffArguments, _diff),
        Tool(
            "reply",
            "Reply to a task: ask for a different change, or answer its question. Begins its next revision; its "
            "earlier approvals do not count for that one.",
            TokenScope.REQUEST,
            ReplyArguments,
            _reply,
        ),
        Tool("cancel", "Stop a task that is not published.", TokenScope.REQUEST, TaskArguments, _cancel),
    )
}


def tools_of(caller: Caller) -> tuple[Tool, ...]:
    """The tools that the caller's scopes allow."""
    return tuple(tool for tool in TOOLS.values() if tool.scope in caller.scopes)


async def call_tool(home: McpHome, caller: Caller, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Call a tool; raises `CountersignError` for what is refused, unknown or not valid."""
    tool = TOOLS.get(name)
    if tool is None:
        known = ", ".join(each.name for each in tools_of(caller))
        raise UsageError("no_such_tool", "there is no such tool", f"There are {known}. Only people approve and merge.")
    if tool.scope not in caller.scopes:
        mend = f"Use a token with the scope {tool.scope.value}."
        raise RefusedError("scope", f"this token does not have the scope {tool.scope.value}", mend)
    try:
        given = tool.arguments.model_validate(cast("dict[str, Any]", dict(arguments)))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "arguments"
        raise UsageError("bad_arguments", f"{where}: {first['msg']}", f"See the schema of the tool {name}.") from error
    return await tool.call(home, caller, given)
