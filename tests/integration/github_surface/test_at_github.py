"""The surface at a GitHub with real repositories: webhooks over HTTP, comments through PyGithub."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from datetime import UTC, datetime, timedelta

import pytest
import uvicorn
from starlette.applications import Starlette

from bot.cards.build import build_card
from bot.surfaces.github.card import render_github_comment
from bot.surfaces.github.rest import RestCommentsClient
from bot.surfaces.github.surface import GitHubSurface
from bot.surfaces.port import Attachment, Buttons, Extras, GitHubSurfaceConfig, Place, RenderedCard, Surface
from core.model.errors import PermanentError, TransientError
from lanes.forge.github.access import GitHubAccess
from lanes.forge.github.client import GitHubClient
from tests.fakes.github.fixtures import github  # noqa: F401 - a fixture
from tests.fakes.inbox import FakeInbox
from tests.unit.cards import documents as docs

pytestmark = pytest.mark.surfaces

SECRET = "a webhook secret of 32 characters"
WEB = "acme/web"


@contextlib.asynccontextmanager
async def served(routes):
    """Those routes on a free port of this host."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(Starlette(routes=list(routes)), log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve([listener]))
    try:
        async with asyncio.timeout(10):
            while not server.started:  # noqa: ASYNC110 - uvicorn tells it in no other way
                await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()


class GitHubHarness:
    """A GitHub where ana may write, eve may read, and we are an account called countersign."""

    def __init__(self, hub):
        self.hub = hub
        self.repo = hub.repository(WEB, {"README.md": "one\ntwo\n"})
        hub.allow(WEB, "ana", "write")
        hub.allow(WEB, "eve", "read")
        hub.allow(WEB, "countersign", "write")
        hub.push(WEB, "topic", {"README.md": "one\n2\n"}, "ana")
        self.pull = hub.opened(self.repo, "ana", "A title", "", "topic", "main")
        self.id = str(self.repo.id)
        self.place = Place("github", self.id, f"pull/{self.pull.number}")
        access = GitHubAccess(hub.url, token=hub.token("countersign"))
        self.client = GitHubClient(access, between_changes_s=0)
        self.inbox = FakeInbox()
        self.wakes = []
        self.surface = self.made(self.client)

    def made(self, client):
        config = GitHubSurfaceConfig(SECRET, {self.id: "web"})
        return GitHubSurface(config, RestCommentsClient(client), wake_follow_job=self.wake)

    async def wake(self, repository, number, sha):
        self.wakes.append((repository, number, sha))

    def bodies(self):
        return [comment.body for comment in self.repo.comments.values()]

    async def settled(self):
        await asyncio.to_thread(self.hub.hooks.settle)


@pytest.fixture
async def harness(github):  # noqa: F811 - the fixture
    made = GitHubHarness(github)
    yield made
    made.client.close()


def card(document=None, **options):
    return RenderedCard(
        render_github_comment(build_card(document or docs.staged(), now=docs.NOW, **options), None).text,
        hides_lines=True,
    )


async def test_a_comment_travels_from_githubs_webhook_to_the_inbox(harness):
    async with served(harness.surface.routes(harness.inbox)) as url:
        harness.hub.hooks.to(f"{url}/hooks/github", SECRET)
        harness.hub.comment(WEB, harness.pull.number, "ana", "Hi\n\n/task fix the typo")
        harness.hub.push(WEB, "topic", {"README.md": "three\n"}, "ana")
        (said,) = await harness.inbox.received()
        await harness.settled()
        assert said.place == harness.place
        assert said.text == "/task fix the typo"
        assert said.identity == str(harness.hub.user("ana").id)
        assert await harness.surface.may_write(said)
        for event in list(harness.hub.hooks.sent):
            harness.hub.hooks.again(event)
            harness.hub.hooks.again(event, new_delivery=True)
        await harness.settled()
    assert len(harness.inbox.messages) == 1
    assert {delivery.status for delivery in harness.hub.hooks.delivered} == {202}
    assert (harness.id, harness.pull.number, harness.pull.sha) in harness.wakes


async def test_webhooks_with_another_secret_are_401(harness):
    async with served(harness.surface.routes(harness.inbox)) as url:
        harness.hub.hooks.to(f"{url}/hooks/github", "guessed")
        harness.hub.comment(WEB, harness.pull.number, "ana", "/task x")
        await harness.settled()
    assert [delivery.status for delivery in harness.hub.hooks.delivered] == [401]


async def test_slow_and_endless_bodies_are_cut_while_others_are_served(harness, monkeypatch):
    monkeypatch.setattr("bot.surfaces.github.webhook.WITHIN_S", 0.5)
    async with served(harness.surface.routes(harness.inbox)) as url:
        host, port = url.removeprefix("http://").split(":")
        head = "POST /hooks/github HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256=" + "0" * 64 + "\r\n"
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"{head}Content-Length: 100\r\n\r\n{{".encode())
        await writer.drain()
        harness.hub.hooks.to(f"{url}/hooks/github", SECRET)
        harness.hub.comment(WEB, harness.pull.number, "ana", "/task x")
        await harness.inbox.received()
        assert (await reader.readline()).startswith(b"HTTP/1.1 408")
        writer.close()
        await writer.wait_closed()
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"{head}Content-Length: 100000000\r\n\r\n".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 413")
        writer.close()
        await writer.wait_closed()


async def test_only_who_may_write_now_may_speak(harness):
    async with served(harness.surface.routes(harness.inbox)) as url:
        harness.hub.hooks.to(f"{url}/hooks/github", SECRET)
        for login in ("ana", "eve", "stranger"):
            harness.hub.comment(WEB, harness.pull.number, login, f"/task of {login}")
        said = {heard.name: heard for heard in await harness.inbox.received(3)}
        await harness.settled()
    allowed = {name: await harness.surface.may_write(heard) for name, heard in said.items()}
    assert allowed == {"ana": True, "eve": False, "stranger": False}
    assert await harness.surface.check_access(said["ana"]) is None
    assert await harness.surface.check_access(said["eve"]) == ""
    harness.hub.allow(WEB, "ana", "read")
    assert not await harness.surface.may_write(said["ana"])
    harness.hub.allow(WEB, "eve", "maintain")
    assert await harness.surface.may_write(said["eve"])
    harness.hub.rename_user("eve", "eva")
    harness.hub.user("eve")  # someone takes the name that became free
    harness.hub.allow(WEB, "eve", "admin")
    harness.hub.allow(WEB, "eva", "read")
    assert not await harness.surface.may_write(said["eve"])
    harness.hub.fail(path=".*/permission", status=502)
    with pytest.raises(TransientError):
        await harness.surface.may_write(said["ana"])


async def test_one_comment_a_task_is_made_found_again_and_edited(harness):
    first = await harness.surface.post(harness.place, card(), None)
    assert await harness.surface.post(harness.place, card(), None) == first
    assert await harness.surface.edit(harness.place, first, card(docs.published())) == first
    assert len(harness.bodies()) == 1
    assert "### 🚀 task 142" in harness.bodies()[0]


async def test_a_card_that_says_the_same_is_not_written_again(harness):
    first = await harness.surface.post(harness.place, card(), None)
    before = [request for request in harness.hub.requests if request[0] != "GET"]
    assert await harness.surface.edit(harness.place, first, card()) == first
    assert [request for request in harness.hub.requests if request[0] != "GET"] == before


async def test_a_deleted_comment_is_posted_anew(harness):
    first = await harness.surface.post(harness.place, card(), None)
    harness.hub.delete_comment(WEB, next(iter(harness.repo.comments.values())))
    second = await harness.surface.edit(harness.place, first, card())
    assert second != first
    assert len(harness.bodies()) == 1


async def test_a_forged_marker_is_left_alone(harness):
    forged = harness.hub.comment(WEB, harness.pull.number, "eve", card().payload)
    ours = await harness.surface.post(harness.place, card(), None)
    assert ours != f"issue_comment:{forged.id}"
    assert await harness.surface.edit(harness.place, f"issue_comment:{forged.id}", card(docs.published())) == ours
    assert forged.body == card().payload
    harness.hub.comment(WEB, harness.pull.number, "countersign", f"> {card().payload}")  # ours, and no card
    assert await harness.surface.post(harness.place, card(), None) == ours


async def test_an_earlier_revision_does_not_overwrite_a_later_one(harness):
    second = docs.second_revision()
    message = await harness.surface.post(harness.place, card(second), None)
    assert await harness.surface.edit(harness.place, message, card(second, revision=1)) == message
    assert "superseded" not in harness.bodies()[0]


async def test_comments_are_found_behind_a_hundred_others(harness):
    message = await harness.surface.post(harness.place, card(), None)
    for n in range(230):
        harness.hub.said(harness.repo, harness.pull.number, "ana", f"comment {n}")
    assert await harness.surface.post(harness.place, card(docs.published()), None) == message


async def test_limits_and_faults_of_github_are_told_as_such(harness):
    harness.hub.fail(
        "POST", status=403, headers={"Retry-After": "7"}, message="You have exceeded a secondary rate limit"
    )
    with pytest.raises(TransientError) as limited:
        await harness.surface.post(harness.place, card(), None)
    assert limited.value.retry_after_s == 7
    other = GitHubHarness.made(harness, fresh := GitHubClient(harness.client.access, between_changes_s=0))
    harness.hub.fail("POST", status=502, after=True)
    with pytest.raises(TransientError):
        await other.post(harness.place, card(), None)
    message = await other.post(harness.place, card(), None)  # what the lost answer was about is found
    assert len(harness.bodies()) == 1
    harness.hub.remove(WEB)
    with pytest.raises(PermanentError) as gone:
        await other.post(harness.place, card(), None)
    assert gone.value.problem.code == "place_gone"
    with pytest.raises(PermanentError):
        await other.edit(harness.place, message, card())
    fresh.close()


async def test_an_answer_quotes_whom_it_answers_once(harness):
    asked = harness.hub.comment(WEB, harness.pull.number, "ana", "/task do @org/team\nmore")
    for _ in range(2):
        words = "Task 142 waits for lee; see https://evil.example"
        await harness.surface.send_text(harness.place, words, f"issue_comment:{asked.id}", asked.login)
    (_, answer) = harness.bodies()
    marker, rest = answer.split("\n\n", 1)
    assert marker.startswith("<!-- countersign:says:")
    assert rest == "> ana: `/task` do `@org/team`\n\nTask 142 waits for lee; see `https://evil.example`"


async def test_an_answer_to_what_is_gone_is_given_all_the_same(harness):
    await harness.surface.send_text(harness.place, "Sorry.", "issue_comment:999999", None)
    await harness.surface.send_text(harness.place, "Sorry.", "review:999999", None)
    await harness.surface.send_text(harness.place, "   ", None, None)
    assert [body.split("\n\n")[1:] for body in harness.bodies()] == [["Sorry."], ["Sorry."]]


async def test_a_reminder_is_said_each_time(harness):
    for _ in range(2):
        await harness.surface.send_text(harness.place, "Still waiting.", None, None)
    assert harness.bodies() == ["Still waiting.", "Still waiting."]


async def test_what_others_made_of_our_comments_is_put_right(harness):
    await harness.surface.attach(harness.place, [PATCH], "words", None)
    message = await harness.surface.post(harness.place, card(), None)
    was = harness.bodies()
    for comment in harness.repo.comments.values():
        comment.body = comment.body.partition("\n")[0] + "\n\nnothing to see"
    await harness.surface.attach(harness.place, [PATCH], "words", None)
    assert await harness.surface.edit(harness.place, message, card()) == message
    assert harness.bodies() == was


async def test_a_long_answer_is_split_and_loses_nothing(harness):
    text = "\n".join(f"line {n} @x" for n in range(6000))
    await harness.surface.send_text(harness.place, text, None, None)
    assert len(harness.bodies()) > 1
    words = "".join(harness.bodies())
    assert all(f"line {n} " in words for n in (0, 1, 2500, 5999))
    assert max(map(len, harness.bodies())) <= 65_535


@pytest.mark.parametrize("text", ["`" * 20_000, "` " * 9000, "@ a " * 4000, "\x1b" * 9000, "\U0001f47e`" * 5000])
async def test_no_answer_is_too_long_for_a_comment(harness, text):
    await harness.surface.send_text(harness.place, text, None, None)
    assert max(len(body.encode("utf-16-le")) // 2 for body in harness.bodies()) <= 65_535


async def test_a_diff_that_is_an_answer_keeps_its_form(harness):
    await harness.surface.send_text(harness.place, docs.DIFF.decode().rstrip(), None, None)
    assert harness.bodies()[0].endswith("```diff\n" + docs.DIFF.decode() + "```")


async def test_a_comment_gets_our_eyes_once(harness):
    comment = harness.hub.comment(WEB, harness.pull.number, "ana", "/task x")
    line = harness.hub.review_comment(WEB, harness.pull.number, "ana", "README.md", 2, "/reply x")
    for _ in range(2):
        await harness.surface.acknowledge(harness.place, f"issue_comment:{comment.id}")
        await harness.surface.acknowledge(harness.place, f"review_comment:{line.id}")
        await harness.surface.acknowledge(harness.place, f"review:{line.review}")
        await harness.surface.acknowledge(harness.place, "issue_comment:999999")
    assert [(reaction.content, reaction.to) for reaction in harness.repo.reactions.values()] == [
        ("eyes", ("comments", comment.id)),
        ("eyes", ("pulls", line.id)),
    ]


PATCH = Attachment("142.patch", docs.DIFF, "text/x-diff")
PAGE = Attachment("142.html", b"<html>", "text/html")


async def test_a_diff_is_delivered_whole_and_once(harness):
    for _ in range(2):
        await harness.surface.attach(harness.place, [PATCH, PAGE], "The whole diff of #142.1", None)
    (body,) = harness.bodies()
    assert "The whole diff of `#142.1`" in body
    assert "```diff\n" + docs.DIFF.decode() + "```" in body


@pytest.mark.parametrize(("excess", "fits"), [(0, True), (1, False)])
async def test_a_diff_is_delivered_up_to_the_limit_and_not_beyond(harness, excess, fits):
    await harness.surface.attach(harness.place, [Attachment("x", b"+x\n", "text/x-diff")], "words", None)
    room = 65_535 - len(harness.bodies()[0])
    file = Attachment("x", b"+" + b"x" * (1 + room + excess) + b"\n", "text/x-diff")
    if fits:
        await harness.surface.attach(harness.place, [file], "words", None)
        assert len(harness.bodies()[1]) == 65_535
        return
    with pytest.raises(PermanentError) as refused:
        await harness.surface.attach(harness.place, [file], "words", None)
    assert refused.value.problem.code == "too_long_here"
    assert len(harness.bodies()) == 1


async def test_without_a_diff_nothing_counts_as_delivered(harness):
    with pytest.raises(PermanentError):
        await harness.surface.attach(harness.place, [PAGE], "words", None)
    assert harness.bodies() == []


async def test_a_place_that_is_no_conversation_cannot_be_reached(harness):
    for thread in (None, "pull/x", "pull/0", "commit/1", "pull/1/2"):
        with pytest.raises(PermanentError) as gone:
            await harness.surface.post(Place("github", harness.id, thread), card(), None)
        assert gone.value.problem.code == "place_gone"


async def test_a_review_comes_with_its_line_comments(harness):
    async with served(harness.surface.routes(harness.inbox)) as url:
        harness.hub.hooks.to(f"{url}/hooks/github", SECRET)
        line = harness.hub.review_comment(WEB, harness.pull.number, "ana", "README.md", 2, "Say <b>two</b>")
        (said,) = await harness.inbox.received()
        await harness.settled()
    full = await harness.surface.complete_message(said)
    assert full is not None
    assert full.message_id == f"review:{line.review}"
    assert full.text == "On README.md line 2:\nSay <b>two</b>"
    assert full.context == "a review with 1 line comment"
    assert len(harness.inbox.messages) == 1


async def test_a_line_comment_edited_after_the_review_is_left_out(harness):
    line = harness.hub.review_comment(WEB, harness.pull.number, "ana", "README.md", 2, "first")
    await harness.surface.catch_up(harness.inbox, datetime.now(UTC) - timedelta(hours=1))
    line.body, line.updated_at = "second", datetime.now(UTC) + timedelta(minutes=1)
    (said,) = harness.inbox.messages
    full = await harness.surface.complete_message(said)
    assert full is not None
    assert full.text == "(1 line comment was edited since and left out.)"


async def test_what_webhooks_missed_is_caught_up_once(harness):
    number = harness.pull.number
    harness.hub.comment(WEB, number, "ana", "/task one")
    harness.hub.comment(WEB, number, "ana", "just talk")
    harness.hub.review(WEB, number, "ana", "CHANGES_REQUESTED", "Otherwise please")
    harness.hub.review(WEB, number, "ana", "APPROVED", "fine")
    harness.hub.review_comment(WEB, number, "ana", "README.md", 2, "/reply shorter")
    issue = harness.hub.issue(WEB, "ana", "An issue")
    harness.hub.comment(WEB, issue.number, "ana", "/task two")
    edited = harness.hub.comment(WEB, number, "ana", "/task three")
    edited.body, edited.updated_at = "/approve 142 9c1e04ab77d2e85b1f36", datetime.now(UTC) + timedelta(minutes=1)
    since = datetime.now(UTC) - timedelta(hours=1)
    assert await harness.surface.catch_up(harness.inbox, since) == 5
    assert await harness.surface.catch_up(harness.inbox, since) == 0
    assert sorted(said.text for said in harness.inbox.messages) == [
        "",
        "/reply shorter",
        "/task one",
        "/task two",
        "Otherwise please",
    ]
    assert {said.place.thread for said in harness.inbox.messages} == {f"pull/{number}", f"issues/{issue.number}"}


async def test_webhooks_and_catching_up_have_one_effect(harness):
    async with served(harness.surface.routes(harness.inbox)) as url:
        harness.hub.hooks.to(f"{url}/hooks/github", SECRET)
        harness.hub.comment(WEB, harness.pull.number, "ana", "/task one\n/task two")
        harness.hub.review(WEB, harness.pull.number, "ana", "COMMENTED", "Otherwise please")
        harness.hub.review_comment(WEB, harness.pull.number, "ana", "README.md", 2, "/reply shorter")
        await harness.settled()
    assert len(harness.inbox.messages) == 5
    assert await harness.surface.catch_up(harness.inbox, datetime.now(UTC) - timedelta(hours=1)) == 0


async def test_running_catches_up_at_the_start_and_after_an_outage(harness):
    harness.surface.catch_up_every_s = 0.01
    harness.hub.comment(WEB, harness.pull.number, "ana", "/task one")
    harness.hub.fail(status=502, times=1)
    running = asyncio.create_task(harness.surface.run(harness.inbox))
    try:
        await harness.inbox.received(1)
        harness.hub.comment(WEB, harness.pull.number, "ana", "@countersign please")
        await harness.inbox.received(2)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert [said.text for said in harness.inbox.messages] == ["/task one", "please"]


async def test_an_app_knows_its_own_comments(harness):
    app = harness.hub.app("signer", "acme")
    app.installations[999] = "elsewhere"  # so it must be told as which one to ask
    client = GitHubClient(GitHubAccess(harness.hub.url, app_id=app.id, app_key=app.private_key), between_changes_s=0)
    surface = harness.made(client)
    try:
        message = await surface.post(harness.place, card(), None)
        assert await surface.post(harness.place, card(), None) == message
        rows = await surface.check()
    finally:
        client.close()
    assert [row["detail"] for row in rows][1:] == ["comments are written as signer[bot]", f"acme/web ({harness.id})"]
    assert {row["verdict"] for row in rows} == {"ok"}


async def test_the_check_tells_what_is_wrong(harness):
    rows = await harness.surface.check()
    assert [row["verdict"] for row in rows] == ["ok", "ok", "ok"]
    harness.hub.remove(WEB)
    assert (await harness.surface.check())[-1]["verdict"] == "fail"
    harness.hub.tokens.clear()
    surface = harness.made(harness.client)
    assert [row["verdict"] for row in await surface.check()] == ["ok", "fail"]


async def test_the_card_is_drawn_as_a_comment(harness):
    surface: Surface = harness.surface
    shown = build_card(docs.staged(), now=docs.NOW)
    drawn = surface.render(shown, None, Buttons(), delivered=False)
    assert drawn.hides_lines
    assert drawn.payload.startswith("<!-- countersign:task:142 -->\n")


async def test_chat_16_whom_a_comment_waits_for_is_mentioned_by_todays_login(harness):
    mentions = (("Ana", str(harness.hub.user("ana").id)), ("gone", "999999999"), ("odd", "@everyone"))
    (id_,) = await harness.surface.send_text(harness.place, "#1 waits for Ana.", None, None, Extras(mentions=mentions))
    assert id_.startswith("issue_comment:")
    assert harness.bodies()[-1].endswith("\n\ncc @ana")
