"""No tool approves, rejects, merges or spends, whatever it is given; and nothing but a good token reaches a tool."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import suppress
from itertools import product
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.mcp import services
from bot.mcp.tools import TOOLS, Caller, call_tool
from core.model.api_token import TokenScope
from core.model.errors import CountersignError, NotFoundError
from core.model.turn import MCP, Actor
from tests.integration.api.api_home import body_of
from tests.integration.mcp.conftest import over_http
from tests.integration.mcp.test_tools import work

pytestmark = [pytest.mark.surfaces, pytest.mark.law, pytest.mark.xdist_group("mcp")]

EVERY_SCOPE = tuple(scope.value for scope in TokenScope)
DECISIONS = ("counted", "approved", "continued", "rejected", "merge_asked", "merged", "extended", "published")
CALLED = {
    "requests.ask", "requests.reply", "requests.cancel", "documents.document", "diffs.of", "queries.newest_event",
    "queries.activity", "task_search.page",
}  # fmt: skip

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.sampled_from(["approve 1", "staged"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
argument_names = st.sampled_from(
    ["number", "text", "repo", "lane", "parameters", "key", "until", "timeout_s", "state", "search", "before", "limit",
     "offset", "digest", "as", "approve", "reason"]
)  # fmt: skip
plausible = st.fixed_dictionaries(
    {}, optional={"number": st.integers(1, 9), "text": st.text(min_size=1, max_size=9), "timeout_s": st.just(0)}
)


class Recorded:
    """A home that knows no task, and records every attribute and method that is reached for."""

    def __init__(self, called: list[str], name: str = "") -> None:
        self._called, self._name = called, name

    def __getattr__(self, name: str) -> Any:
        if not self._name:
            return Recorded(self._called, name)

        async def method(*_: Any, **__: Any) -> Any:
            self._called.append(f"{self._name}.{name}")
            if name == "newest_event":
                return 0
            raise NotFoundError("no_such_task", "there is no such task")

        return method


@given(
    name=st.sampled_from([*TOOLS, "approve", "merge", "reject", "extend"]),
    arguments=plausible | st.dictionaries(argument_names, json_values, max_size=6),
    scopes=st.frozensets(st.sampled_from(list(TokenScope))),
)
def test_whatever_the_arguments_only_these_methods_are_reached(name, arguments, scopes):
    called: list[str] = []
    caller = Caller("x", Actor("lee", MCP), scopes)
    with suppress(CountersignError):
        asyncio.run(call_tool(Recorded(called), caller, name, arguments))
    assert set(called) <= CALLED
    assert not called or TOOLS[name].scope in scopes


def test_the_part_of_the_home_behind_the_tools_has_no_method_that_decides():
    parts = {
        name: get_type_hints(member.fget)["return"]
        for name, member in vars(services.McpHome).items()
        if isinstance(member, property)
    }
    assert {f"{name}.{method}" for name, part in parts.items() for method in vars(part) if method[0] != "_"} == CALLED


async def test_a_maintainer_who_could_approve_cannot_do_so_by_any_tool(served):
    staged = (await served.app.documents.document(1)).task.staged
    words = [f"approve 1 {staged.digest}", "/merge 1", "lgtm"]
    tools = [*TOOLS, "approve", "merge", "reject", "undo", "extend", "approvals", "../approve"]
    more: list[dict[str, Any]] = [{}, {"digest": staged.digest, "as": "max", "verdict": "approve"}]
    async with over_http(served, "lee", *EVERY_SCOPE) as client:
        for tool, text, extra in product(tools, words, more):
            for about in ({"number": 1, "text": text}, {"text": text, "repo": "web"}):
                if tool != "cancel":  # a cancelled task could not be approved
                    arguments = {**about, **extra, **({"timeout_s": 0} if tool == "watch" else {})}
                    await client.call_tool(tool, arguments)
    await work(served)
    events = await served.app.queries.events()
    assert [e for e in events if e.kind in {f"task.{word}" for word in DECISIONS}] == []
    assert [(await served.app.documents.document(n)).approvals for n in (1, 2, 3)] == [()] * 3
    assert {e.surface for e in events if e.person == "lee" and e.number} == {MCP}


async def test_what_was_replied_by_a_tool_cannot_be_approved_by_the_same_person(served):
    async with over_http(served, "lee") as client:
        again = {"number": 1, "text": "set server.timeout to 41 in config/app.yaml"}
        assert not (await client.call_tool("reply", again)).is_error
    await work(served)
    document = await served.app.documents.document(1)
    assert document.task.staged is not None
    outcome = await served.app.approvals.approve(1, document.task.staged.digest, Actor("lee", "terminal"))
    assert outcome.problem is not None


async def test_only_a_persons_token_and_a_post_of_a_program_reach_it(served):
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    url = f"{served.url}/mcp"
    stranger = served.bare_client()
    assert (await stranger.post(url, json=message)).status_code == 401
    ana = await served.client("ana")
    accepts = {"Accept": "application/json, text/event-stream"}
    assert (await ana.post(url, json=message, headers=accepts)).status_code == 200
    assert (await ana.post(url, json=message, headers={**accepts, "Origin": served.url})).status_code == 403
    assert (await ana.post(f"{url}?token=x", json=message, headers=accepts)).status_code == 401
    assert [(await ana.request(method, url)).status_code for method in ("GET", "DELETE", "PUT")] == [405] * 3
    assert (await ana.post(url, content=b"x" * 600_000, headers=accepts)).status_code == 413
    operator = await served.client(None)
    refused = await operator.post(url, json=message, headers=accepts)
    assert (refused.status_code, body_of(refused)["code"]) == (422, "who")


def test_the_sdk_is_imported_by_the_first_good_token_and_by_nothing_else(two_repositories):
    script = """
import asyncio, sys, httpx, pathlib
import bot.cli.commands
from bot.configuration.home import Home
from bot.wiring.app import opened
from bot.wiring.surfaces import build
from core.model.turn import Actor
from core.services.api_tokens import WantedToken

async def main():
    async with opened(Home(pathlib.Path(sys.argv[1]))) as app:
        serving = await build(app, "127.0.0.1", 0)
        web = httpx.ASGITransport(serving.web._config.app)
        async with httpx.AsyncClient(transport=web, base_url="http://127.0.0.1") as client:
            assert (await client.post("/mcp", headers={"Authorization": "Bearer x"})).status_code == 401
            print("mcp" in sys.modules)
            wanted = WantedToken(name="x", person="lee", scopes=("read",), repositories=None, expires_at=None)
            made = await app.api_tokens.create(wanted, Actor(None, "terminal"))
            await client.post("/mcp", headers={"Authorization": f"Bearer {made.written}"})
            print("mcp" in sys.modules)
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(two_repositories.root)],
        capture_output=True,
        text=True,
        check=False,
        cwd=str(two_repositories.folder),
        env={"PYTHONPATH": ":".join(p for p in sys.path if p)},
    )
    assert done.stdout.split() == ["False", "True"], done.stderr


def test_without_a_person_the_command_says_what_to_do(two_repositories):
    said = two_repositories.run("mcp")
    assert (said.code, said.out) == (2, "")
    assert "--as PERSON" in said.sentence()
