"""Asking, following, reading, replying and cancelling by the tools, over both transports."""

from __future__ import annotations

import asyncio
import json

import pytest
from mcp_types import TextContent

from bot.mcp.arguments import MAX_WATCH_S
from bot.mcp.quoted import MAX_CHARS, quoted, shown
from tests.homes import CliHome
from tests.integration.api.api_home import MARK
from tests.integration.mcp.conftest import over_http

pytestmark = [pytest.mark.surfaces, pytest.mark.xdist_group("mcp")]

TOOLS = ["ask", "watch", "list", "show", "diff", "reply", "cancel"]
READING = ["watch", "list", "show", "diff"]


def document(result):
    """The document of a result that succeeded; its text is the same document."""
    (content,) = result.content
    assert isinstance(content, TextContent)
    assert not result.is_error, content.text
    assert json.loads(content.text) == result.structured_content
    return result.structured_content


def refusal(result):
    """The code and the sentence of a result that did not."""
    assert result.is_error, result
    return result.structured_content["error"]["code"], result.content[0].text


async def work(served) -> None:
    """Let a worker do what is ready."""
    home = CliHome(served.folder)
    said = await asyncio.to_thread(home.run, "worker", "--drain", timeout_s=120)
    assert said.code == 0, said


async def test_a_change_is_asked_for_followed_read_and_stopped(served, connect):
    async with connect(served) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == TOOLS
        assert "cannot approve" in client.instructions
        text = "set server.timeout to 77 in config/app.yaml"
        asked = document(await client.call_tool("ask", {"text": text, "repo": "web", "key": "one"}))["task"]
        again = document(await client.call_tool("ask", {"text": text, "repo": "web", "key": "one"}))["task"]
        number = asked["number"]
        assert again["number"] == number
        assert asked["turns"][0] | {"at": ""} == {
            "n": 1, "person": "ana", "surface": "mcp", "text": text, "at": "", "revision": 1
        }  # fmt: skip
        early = document(await client.call_tool("watch", {"number": number, "timeout_s": 1}))
        assert (early["reached"], early["task"]["state"]) == (False, "received")
        await work(served)
        late = document(await client.call_tool("watch", {"number": number, "timeout_s": MAX_WATCH_S}))
        assert (late["reached"], late["task"]["state"]) == (True, "staged")
        assert late["task"]["staged"]["needs"][0]["of"] == ["lee", "max"]
        diff = document(await client.call_tool("diff", {"number": number}))
        assert "+  timeout: 77" in diff["diff"]
        assert diff["digest"] == late["task"]["staged"]["digest"]
        again = {"number": number, "text": "set server.timeout to 78 in config/app.yaml"}
        assert document(await client.call_tool("reply", again))["task"]["revision"] == 2
        listed = document(await client.call_tool("list", {"search": "timeout", "limit": 1, "repo": "web"}))
        assert [task["number"] for task in listed["tasks"]] == [number]
        assert listed["next_before"] == number
        assert document(await client.call_tool("cancel", {"number": number}))["task"]["state"] == "cancelled"
        until = {"number": number, "until": ["cancelled", "merged"], "timeout_s": 0}
        assert document(await client.call_tool("watch", until))["reached"]


async def test_a_client_of_the_older_protocol_is_served_too(served, connect):
    async with connect(served, mode="legacy") as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == TOOLS
        assert document(await client.call_tool("show", {"number": 1}))["task"]["state"] == "staged"


async def test_a_watch_ends_soon_after_the_state_is_reached(served, connect):
    async with connect(served) as client:
        watching = asyncio.create_task(
            client.call_tool("watch", {"number": 1, "until": ["cancelled"], "timeout_s": MAX_WATCH_S})
        )
        assert document(await client.call_tool("watch", {"number": 1, "timeout_s": 0}))["reached"]  # it is staged
        async with over_http(served) as other:
            document(await other.call_tool("cancel", {"number": 1}))
        async with asyncio.timeout(MAX_WATCH_S - 5):
            assert document(await watching)["reached"]


async def test_a_long_diff_comes_in_parts(served, connect):
    async with connect(served) as client:
        whole = document(await client.call_tool("diff", {"number": 1}))
        parts: list[str] = []
        offset: int | None = 0
        while offset is not None:
            part = document(await client.call_tool("diff", {"number": 1, "offset": offset, "limit": 50}))
            assert len(part["diff"]) <= 50
            parts.append(part["diff"])
            offset = part["next_offset"]
        assert "".join(parts) == whole["diff"]
        assert whole["total_chars"] == len(whole["diff"])


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("ask", {"text": "x", "as": "lee"}, "as: Extra inputs are not permitted"),
        ("ask", {}, "text: Field required"),
        ("show", {"number": "1"}, "number: Input should be a valid integer"),
        ("show", {"number": 99}, "there is no such task"),
        ("watch", {"number": 1, "timeout_s": 3600}, "timeout_s: Input should be less than or equal to 50"),
        ("watch", {"number": 1, "until": ["soon"]}, "until.0: Input should be 'received'"),
        ("list", {"search": "x" * 501}, "search: String should have at most 500 characters"),
        ("diff", {"number": 3}, "#3 has nothing staged"),
        ("ask", {"text": " "}, "request is empty"),
        ("approve", {"number": 1}, "Only people approve and merge"),
    ],
)
async def test_what_cannot_be_done_is_one_sentence(served, tool, arguments, says):
    async with over_http(served) as client:
        _, sentence = refusal(await client.call_tool(tool, arguments))
        assert says in sentence, sentence


async def test_a_text_that_hides_something_is_shown_as_a_person_would_see_it(served, connect):
    hidden = "set a.b to 1 in config/app.yaml \u202e\U000e0041\U000e0042\x1b[2J"
    async with connect(served) as client:
        asked = await client.call_tool("ask", {"text": hidden, "repo": "web"})
        text = json.dumps(document(asked), ensure_ascii=False)
        assert not {"\u202e", "\U000e0041", "\x1b"} & set(text)
        assert "\\u{202e}\\u{e0041}" in document(asked)["task"]["turns"][0]["text"]


def test_texts_keep_their_lines_and_tabs_and_hide_nothing():
    value = {"a\u200b": ["x\n\ty\r\n", {"n": 1, "b": None}], "long": "z" * (MAX_CHARS + 7)}
    result = quoted(value)
    assert result["a\\u{200b}"] == ["x\n\ty\\x0d\n", {"n": 1, "b": None}]
    assert result["long"].endswith("z… (7 more characters)")
    assert shown("\u2028\x0c\udcff") == "\\u{2028}\\x0c\\xff"


async def test_scopes_and_repositories_of_the_token_hold(served):
    async with over_http(served, "ana", "read") as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == READING
        for name, arguments in (
            ("ask", {"text": "x"}),
            ("reply", {"number": 1, "text": "x"}),
            ("cancel", {"number": 1}),
        ):
            assert refusal(await client.call_tool(name, arguments))[0] == "scope"
    async with over_http(served, repositories=("web",)) as client:
        missing = refusal(await client.call_tool("show", {"number": 99}))
        for name, arguments in (("show", {}), ("diff", {}), ("watch", {}), ("cancel", {}), ("reply", {"text": "x"})):
            assert refusal(await client.call_tool(name, {"number": 2, **arguments})) == missing
        listed = await client.call_tool("list", {})
        assert MARK not in json.dumps(document(listed))
        code, _ = refusal(await client.call_tool("ask", {"text": "set a to 1 in b.yaml", "repo": "hidden"}))
        assert code == refusal(await client.call_tool("ask", {"text": "x", "repo": "nowhere"}))[0]
