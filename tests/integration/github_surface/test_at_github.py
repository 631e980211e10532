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
from tests.fakes.ears import FakeEars
from tests.fakes.github.fixtures import github  # noqa: F401 - a fixture
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


class Town:
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
        self.ears = FakeEars()
        self.nudges = []
        self.surface = self.made(self.client)

    def made(self, client):
        config = GitHubSurfaceConfig(SECRET, {self.id: "web"})
        return GitHubSurface(config, RestCommentsClient(client), wake_follow_job=self.nudge)

    async def nudge(self, repository, number, sha):
        self.nudges.append((repository, number, sha))

    def bodies(self):
        return [comment.body for comment in self.repo.comments.values()]

    async def settled(self):
        await asyncio.to_thread(self.hub.hooks.settle)


@pytest.fixture
async def town(github):  # noqa: F811 - the fixture
    made = Town(github)
    yield made
    made.client.close()


def card(document=None, **options):
    return RenderedCard(
        render_github_comment(build_card(document or docs.staged(), now=docs.NOW, **options), None).text,
        hides_lines=True,
    )


async def test_a_comment_travels_from_githubs_webhook_to_the_ears(town):
    async with served(town.surface.routes(town.ears)) as url:
        town.hub.hooks.to(f"{url}/hooks/github", SECRET)
        town.hub.comment(WEB, town.pull.number, "ana", "Hi\n\n/task fix the typo")
        town.hub.push(WEB, "topic", {"README.md": "three\n"}, "ana")
        (said,) = await town.ears.heard()
        await town.settled()
        assert said.place == town.place
        assert said.text == "/task fix the typo"
        assert said.identity == str(town.hub.user("ana").id)
        assert await town.surface.may_write(said)
        for event in list(town.hub.hooks.sent):
            town.hub.hooks.again(event)
            town.hub.hooks.again(event, new_delivery=True)
        await town.settled()
    assert len(town.ears.said) == 1
    assert {delivery.status for delivery in town.hub.hooks.delivered} == {202}
    assert (town.id, town.pull.number, town.pull.sha) in town.nudges


async def test_webhooks_with_another_secret_are_401(town):
    async with served(town.surface.routes(town.ears)) as url:
        town.hub.hooks.to(f"{url}/hooks/github", "guessed")
        town.hub.comment(WEB, town.pull.number, "ana", "/task x")
        await town.settled()
    assert [delivery.status for delivery in town.hub.hooks.delivered] == [401]


async def test_slow_and_endless_bodies_are_cut_while_others_are_served(town, monkeypatch):
    monkeypatch.setattr("bot.surfaces.github.webhook.WITHIN_S", 0.5)
    async with served(town.surface.routes(town.ears)) as url:
        host, port = url.removeprefix("http://").split(":")
        head = "POST /hooks/github HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256=" + "0" * 64 + "\r\n"
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"{head}Content-Length: 100\r\n\r\n{{".encode())
        await writer.drain()
        town.hub.hooks.to(f"{url}/hooks/github", SECRET)
        town.hub.comment(WEB, town.pull.number, "ana", "/task x")
        await town.ears.heard()
        assert (await reader.readline()).startswith(b"HTTP/1.1 408")
        writer.close()
        await writer.wait_closed()
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"{head}Content-Length: 100000000\r\n\r\n".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 413")
        writer.close()
        await writer.wait_closed()


async def test_only_who_may_write_now_may_speak(town):
    async with served(town.surface.routes(town.ears)) as url:
        town.hub.hooks.to(f"{url}/hooks/github", SECRET)
        for login in ("ana", "eve", "stranger"):
            town.hub.comment(WEB, town.pull.number, login, f"/task of {login}")
        said = {heard.name: heard for heard in await town.ears.heard(3)}
        await town.settled()
    allowed = {name: await town.surface.may_write(heard) for name, heard in said.items()}
    assert allowed == {"ana": True, "eve": False, "stranger": False}
    assert await town.surface.check_access(said["ana"]) is None
    assert await town.surface.check_access(said["eve"]) == ""
    town.hub.allow(WEB, "ana", "read")
    assert not await town.surface.may_write(said["ana"])
    town.hub.allow(WEB, "eve", "maintain")
    assert await town.surface.may_write(said["eve"])
    town.hub.rename_user("eve", "eva")
    town.hub.user("eve")  # somebody takes the name that became free
    town.hub.allow(WEB, "eve", "admin")
    town.hub.allow(WEB, "eva", "read")
    assert not await town.surface.may_write(said["eve"])
    town.hub.fail(path=".*/permission", status=502)
    with pytest.raises(TransientError):
        await town.surface.may_write(said["ana"])


async def test_one_comment_a_task_is_made_found_again_and_edited(town):
    first = await town.surface.post(town.place, card(), None)
    assert await town.surface.post(town.place, card(), None) == first
    assert await town.surface.edit(town.place, first, card(docs.published())) == first
    assert len(town.bodies()) == 1
    assert "### 🚀 task 142" in town.bodies()[0]


async def test_a_card_that_says_the_same_is_not_written_again(town):
    first = await town.surface.post(town.place, card(), None)
    before = [request for request in town.hub.requests if request[0] != "GET"]
    assert await town.surface.edit(town.place, first, card()) == first
    assert [request for request in town.hub.requests if request[0] != "GET"] == before


async def test_a_deleted_comment_is_posted_anew(town):
    first = await town.surface.post(town.place, card(), None)
    town.hub.delete_comment(WEB, next(iter(town.repo.comments.values())))
    second = await town.surface.edit(town.place, first, card())
    assert second != first
    assert len(town.bodies()) == 1


async def test_a_forged_marker_is_left_alone(town):
    forged = town.hub.comment(WEB, town.pull.number, "eve", card().payload)
    ours = await town.surface.post(town.place, card(), None)
    assert ours != f"issue_comment:{forged.id}"
    assert await town.surface.edit(town.place, f"issue_comment:{forged.id}", card(docs.published())) == ours
    assert forged.body == card().payload
    town.hub.comment(WEB, town.pull.number, "countersign", f"> {card().payload}")  # ours, and no card
    assert await town.surface.post(town.place, card(), None) == ours


async def test_an_earlier_revision_does_not_overwrite_a_later_one(town):
    second = docs.second_revision()
    message = await town.surface.post(town.place, card(second), None)
    assert await town.surface.edit(town.place, message, card(second, revision=1)) == message
    assert "superseded" not in town.bodies()[0]


async def test_comments_are_found_behind_a_hundred_others(town):
    message = await town.surface.post(town.place, card(), None)
    for n in range(230):
        town.hub.said(town.repo, town.pull.number, "ana", f"comment {n}")
    assert await town.surface.post(town.place, card(docs.published()), None) == message


async def test_limits_and_faults_of_github_are_told_as_such(town):
    town.hub.fail("POST", status=403, headers={"Retry-After": "7"}, message="You have exceeded a secondary rate limit")
    with pytest.raises(TransientError) as limited:
        await town.surface.post(town.place, card(), None)
    assert limited.value.retry_after_s == 7
    other = Town.made(town, fresh := GitHubClient(town.client.access, between_changes_s=0))
    town.hub.fail("POST", status=502, after=True)
    with pytest.raises(TransientError):
        await other.post(town.place, card(), None)
    message = await other.post(town.place, card(), None)  # what the lost answer was about is found
    assert len(town.bodies()) == 1
    town.hub.remove(WEB)
    with pytest.raises(PermanentError) as gone:
        await other.post(town.place, card(), None)
    assert gone.value.problem.code == "place_gone"
    with pytest.raises(PermanentError):
        await other.edit(town.place, message, card())
    fresh.close()


async def test_an_answer_quotes_whom_it_answers_once(town):
    asked = town.hub.comment(WEB, town.pull.number, "ana", "/task do @org/team\nmore")
    for _ in range(2):
        words = "Task 142 waits for lee; see https://evil.example"
        await town.surface.send_text(town.place, words, f"issue_comment:{asked.id}", asked.login)
    (_, answer) = town.bodies()
    marker, rest = answer.split("\n\n", 1)
    assert marker.startswith("<!-- countersign:says:")
    assert rest == "> ana: `/task` do `@org/team`\n\nTask 142 waits for lee; see `https://evil.example`"


async def test_an_answer_to_what_is_gone_is_given_all_the_same(town):
    await town.surface.send_text(town.place, "Sorry.", "issue_comment:999999", None)
    await town.surface.send_text(town.place, "Sorry.", "review:999999", None)
    await town.surface.send_text(town.place, "   ", None, None)
    assert [body.split("\n\n")[1:] for body in town.bodies()] == [["Sorry."], ["Sorry."]]


async def test_a_reminder_is_said_each_time(town):
    for _ in range(2):
        await town.surface.send_text(town.place, "Still waiting.", None, None)
    assert town.bodies() == ["Still waiting.", "Still waiting."]


async def test_what_others_made_of_our_comments_is_put_right(town):
    await town.surface.attach(town.place, [PATCH], "words", None)
    message = await town.surface.post(town.place, card(), None)
    was = town.bodies()
    for comment in town.repo.comments.values():
        comment.body = comment.body.partition("\n")[0] + "\n\nnothing to see"
    await town.surface.attach(town.place, [PATCH], "words", None)
    assert await town.surface.edit(town.place, message, card()) == message
    assert town.bodies() == was


async def test_a_long_answer_is_split_and_loses_nothing(town):
    text = "\n".join(f"line {n} @x" for n in range(6000))
    await town.surface.send_text(town.place, text, None, None)
    assert len(town.bodies()) > 1
    words = "".join(town.bodies())
    assert all(f"line {n} " in words for n in (0, 1, 2500, 5999))
    assert max(map(len, town.bodies())) <= 65_535


@pytest.mark.parametrize("text", ["`" * 20_000, "` " * 9000, "@ a " * 4000, "\x1b" * 9000, "\U0001f47e`" * 5000])
async def test_no_answer_is_too_long_for_a_comment(town, text):
    await town.surface.send_text(town.place, text, None, None)
    assert max(len(body.encode("utf-16-le")) // 2 for body in town.bodies()) <= 65_535


async def test_a_diff_that_is_an_answer_keeps_its_form(town):
    await town.surface.send_text(town.place, docs.DIFF.decode().rstrip(), None, None)
    assert town.bodies()[0].endswith("```diff\n" + docs.DIFF.decode() + "```")


async def test_a_comment_gets_our_eyes_once(town):
    comment = town.hub.comment(WEB, town.pull.number, "ana", "/task x")
    line = town.hub.review_comment(WEB, town.pull.number, "ana", "README.md", 2, "/reply x")
    for _ in range(2):
        await town.surface.acknowledge(town.place, f"issue_comment:{comment.id}")
        await town.surface.acknowledge(town.place, f"review_comment:{line.id}")
        await town.surface.acknowledge(town.place, f"review:{line.review}")
        await town.surface.acknowledge(town.place, "issue_comment:999999")
    assert [(reaction.content, reaction.to) for reaction in town.repo.reactions.values()] == [
        ("eyes", ("comments", comment.id)),
        ("eyes", ("pulls", line.id)),
    ]


PATCH = Attachment("142.patch", docs.DIFF, "text/x-diff")
PAGE = Attachment("142.html", b"<html>", "text/html")


async def test_a_diff_is_delivered_whole_and_once(town):
    for _ in range(2):
        await town.surface.attach(town.place, [PATCH, PAGE], "The whole diff of #142.1", None)
    (body,) = town.bodies()
    assert "The whole diff of `#142.1`" in body
    assert "```diff\n" + docs.DIFF.decode() + "```" in body


@pytest.mark.parametrize(("excess", "fits"), [(0, True), (1, False)])
async def test_a_diff_is_delivered_up_to_the_limit_and_not_beyond(town, excess, fits):
    await town.surface.attach(town.place, [Attachment("x", b"+x\n", "text/x-diff")], "words", None)
    room = 65_535 - len(town.bodies()[0])
    file = Attachment("x", b"+" + b"x" * (1 + room + excess) + b"\n", "text/x-diff")
    if fits:
        await town.surface.attach(town.place, [file], "words", None)
        assert len(town.bodies()[1]) == 65_535
        return
    with pytest.raises(PermanentError) as refused:
        await town.surface.attach(town.place, [file], "words", None)
    assert refused.value.problem.code == "too_long_here"
    assert len(town.bodies()) == 1


async def test_without_a_diff_nothing_counts_as_delivered(town):
    with pytest.raises(PermanentError):
        await town.surface.attach(town.place, [PAGE], "words", None)
    assert town.bodies() == []


async def test_a_place_that_is_no_conversation_cannot_be_reached(town):
    for thread in (None, "pull/x", "pull/0", "commit/1", "pull/1/2"):
        with pytest.raises(PermanentError) as gone:
            await town.surface.post(Place("github", town.id, thread), card(), None)
        assert gone.value.problem.code == "place_gone"


async def test_a_review_comes_with_its_line_comments(town):
    async with served(town.surface.routes(town.ears)) as url:
        town.hub.hooks.to(f"{url}/hooks/github", SECRET)
        line = town.hub.review_comment(WEB, town.pull.number, "ana", "README.md", 2, "Say <b>two</b>")
        (said,) = await town.ears.heard()
        await town.settled()
    full = await town.surface.complete_message(said)
    assert full is not None
    assert full.message_id == f"review:{line.review}"
    assert full.text == "On README.md line 2:\nSay <b>two</b>"
    assert full.context == "a review with 1 line comment"
    assert len(town.ears.said) == 1


async def test_a_line_comment_edited_after_the_review_is_left_out(town):
    line = town.hub.review_comment(WEB, town.pull.number, "ana", "README.md", 2, "first")
    await town.surface.catch_up(town.ears, datetime.now(UTC) - timedelta(hours=1))
    line.body, line.updated_at = "second", datetime.now(UTC) + timedelta(minutes=1)
    (said,) = town.ears.said
    full = await town.surface.complete_message(said)
    assert full is not None
    assert full.text == "(1 line comment was edited since and left out.)"


async def test_what_webhooks_missed_is_caught_up_once(town):
    number = town.pull.number
    town.hub.comment(WEB, number, "ana", "/task one")
    town.hub.comment(WEB, number, "ana", "just talk")
    town.hub.review(WEB, number, "ana", "CHANGES_REQUESTED", "Otherwise please")
    town.hub.review(WEB, number, "ana", "APPROVED", "fine")
    town.hub.review_comment(WEB, number, "ana", "README.md", 2, "/reply shorter")
    issue = town.hub.issue(WEB, "ana", "An issue")
    town.hub.comment(WEB, issue.number, "ana", "/task two")
    edited = town.hub.comment(WEB, number, "ana", "/task three")
    edited.body, edited.updated_at = "/approve 142 9c1e04ab77d2e85b1f36", datetime.now(UTC) + timedelta(minutes=1)
    since = datetime.now(UTC) - timedelta(hours=1)
    assert await town.surface.catch_up(town.ears, since) == 5
    assert await town.surface.catch_up(town.ears, since) == 0
    assert sorted(said.text for said in town.ears.said) == [
        "",
        "/reply shorter",
        "/task one",
        "/task two",
        "Otherwise please",
    ]
    assert {said.place.thread for said in town.ears.said} == {f"pull/{number}", f"issues/{issue.number}"}


async def test_webhooks_and_catching_up_have_one_effect(town):
    async with served(town.surface.routes(town.ears)) as url:
        town.hub.hooks.to(f"{url}/hooks/github", SECRET)
        town.hub.comment(WEB, town.pull.number, "ana", "/task one\n/task two")
        town.hub.review(WEB, town.pull.number, "ana", "COMMENTED", "Otherwise please")
        town.hub.review_comment(WEB, town.pull.number, "ana", "README.md", 2, "/reply shorter")
        await town.settled()
    assert len(town.ears.said) == 5
    assert await town.surface.catch_up(town.ears, datetime.now(UTC) - timedelta(hours=1)) == 0


async def test_running_catches_up_at_the_start_and_after_an_outage(town):
    town.surface.catch_up_every_s = 0.01
    town.hub.comment(WEB, town.pull.number, "ana", "/task one")
    town.hub.fail(status=502, times=1)
    running = asyncio.create_task(town.surface.run(town.ears))
    try:
        await town.ears.heard(1)
        town.hub.comment(WEB, town.pull.number, "ana", "@countersign please")
        await town.ears.heard(2)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert [said.text for said in town.ears.said] == ["/task one", "please"]


async def test_an_app_knows_its_own_comments(town):
    app = town.hub.app("signer", "acme")
    app.installations[999] = "elsewhere"  # so it must be told as which one to ask
    client = GitHubClient(GitHubAccess(town.hub.url, app_id=app.id, app_key=app.private_key), between_changes_s=0)
    surface = town.made(client)
    try:
        message = await surface.post(town.place, card(), None)
        assert await surface.post(town.place, card(), None) == message
        rows = await surface.check()
    finally:
        client.close()
    assert [row["detail"] for row in rows][1:] == ["comments are written as signer[bot]", f"acme/web ({town.id})"]
    assert {row["verdict"] for row in rows} == {"ok"}


async def test_the_check_tells_what_is_wrong(town):
    rows = await town.surface.check()
    assert [row["verdict"] for row in rows] == ["ok", "ok", "ok"]
    town.hub.remove(WEB)
    assert (await town.surface.check())[-1]["verdict"] == "fail"
    town.hub.tokens.clear()
    surface = town.made(town.client)
    assert [row["verdict"] for row in await surface.check()] == ["ok", "fail"]


async def test_the_card_is_drawn_as_a_comment(town):
    surface: Surface = town.surface
    shown = build_card(docs.staged(), now=docs.NOW)
    drawn = surface.render(shown, None, Buttons(), delivered=False)
    assert drawn.hides_lines
    assert drawn.payload.startswith("<!-- countersign:task:142 -->\n")


async def test_chat_16_whom_a_comment_waits_for_is_mentioned_by_todays_login(town):
    mentions = (("Ana", str(town.hub.user("ana").id)), ("gone", "999999999"), ("odd", "@everyone"))
    (id_,) = await town.surface.send_text(town.place, "#1 waits for Ana.", None, None, Extras(mentions=mentions))
    assert id_.startswith("issue_comment:")
    assert town.bodies()[-1].endswith("\n\ncc @ana")
