"""A review as one turn, what missed webhooks bring, and what is refused to come with it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.surfaces.github.comment_text import CommentAuthor, CommentKind, CommentLocation, WrittenComment
from bot.surfaces.github.comments import GitHubReview
from bot.surfaces.github.surface import GitHubSurface
from bot.surfaces.port import ButtonPress, GitHubSurfaceConfig, Place, RenderedCard
from core.model.errors import PermanentError, TransientError
from tests.fakes.inbox import FakeInbox
from tests.integration.github_surface import payloads
from tests.integration.github_surface.memory_comments import MemoryComments
from tests.integration.github_surface.payloads import NOW, reviewed

pytestmark = pytest.mark.surfaces

ANA = CommentAuthor(payloads.CODERTOCAT, "Codertocat", is_person=True)
MALLORY = CommentAuthor(666, "mallory", is_person=True)
AT = NOW - timedelta(seconds=30)
REVIEW = WrittenComment(
    CommentKind.REVIEW, 237895671, ANA, "whatever it says now", AT, AT, 2, is_on_pull_request=True, state="commented"
)


def line(body, n=1, author=ANA, late_s=0.0, path="docs/a.md"):
    spot = CommentLocation(path, n, None, is_old_side=False, hunk=())
    return WrittenComment(
        CommentKind.LINE, 100 + n, author, body, AT, AT + timedelta(seconds=late_s), 2, True, spot, REVIEW.id
    )


async def full(harness, body, lines, state="commented"):
    """What becomes of a review delivered with `body`, when GitHub has `lines` for it."""
    await harness.deliver("pull_request_review", reviewed(body, state))
    harness.comments.reviews[REVIEW.id] = GitHubReview(REVIEW, tuple(lines))
    return await harness.surface.complete_message(harness.inbox.messages[-1])


async def test_its_own_words_are_those_of_the_delivery(harness):
    found = await full(harness, "As it was sent", [line("shorter", 12), line("and here", 40)])
    assert found.text == "As it was sent\n\nOn docs/a.md line 12:\nshorter\n\nOn docs/a.md line 40:\nand here"
    assert found.context == "a review with 2 line comments"


async def test_a_review_without_words_or_lines_says_nothing(harness):
    assert await full(harness, None, []) is None


async def test_a_review_that_is_gone_still_says_what_was_delivered(harness):
    await harness.deliver("pull_request_review", reviewed("Otherwise please"))
    found = await harness.surface.complete_message(harness.inbox.messages[-1])
    assert found.text == "Otherwise please"


async def test_only_its_authors_unedited_lines_without_commands_count(harness):
    robot = replace(ANA, is_person=False)
    lines = [
        line("mine"),
        line("not mine", 2, MALLORY),
        line("a program's", 3, robot),
        line("edited at once", 4, late_s=2),
        line("edited later", 5, late_s=2.5),
        line("/approve 9c1e04ab77d2e85b1f36", 6),
        line("@countersign do", 7),
        line("   ", 8),
    ]
    found = await full(harness, "", lines)
    assert found.text.split("\n\n") == [
        "On docs/a.md line 1:\nmine",
        "On docs/a.md line 4:\nedited at once",
        "(1 line comment was edited since and left out.)",
    ]


async def test_a_reply_in_a_review_takes_its_lines_along_and_an_approval_does_not(harness):
    replied = await full(harness, "/reply 142 as noted", [line("shorter")])
    assert replied.text == "/reply 142 as noted\n\nOn docs/a.md line 1:\nshorter"
    approved = await full(harness, "/approve 142 9c1e04ab77d2e85b1f36", [line("shorter")])
    assert approved.text == "/approve 142 9c1e04ab77d2e85b1f36"


async def test_a_review_of_a_thousand_lines_is_cut_and_says_so(harness):
    found = await full(harness, "", [line(f"note {n}", n) for n in range(1, 1001)])
    assert "note 100\n\n(900 more line comments are left out.)" in found.text
    huge = await full(harness, "", [line("x" * 60_000, n) for n in range(1, 9)])
    assert len(huge.text) == 65_535


async def test_what_is_no_review_stays_as_it_is(harness):
    await harness.deliver("issue_comment", payloads.commented("/task x"))
    (said,) = harness.inbox.messages
    assert await harness.surface.complete_message(said) is said


@pytest.mark.parametrize(
    ("surface", "channel", "identity"),
    [
        ("slack", payloads.HELLO_WORLD, "21031067"),
        ("github", "1", "21031067"),
        ("github", payloads.HELLO_WORLD, "Codertocat"),
        ("github", payloads.HELLO_WORLD, ""),
        ("github", payloads.HELLO_WORLD, "\N{ARABIC-INDIC DIGIT ONE}"),
    ],
)
async def test_who_is_no_number_in_a_listed_repository_may_not_speak(harness, surface, channel, identity):
    harness.comments.writers = {21031067, 1}
    said = ButtonPress(identity, Place(surface, channel, "pull/1"), "b", "issue_comment:1", "d")
    assert not await harness.surface.may_write(said)


async def test_an_unreadable_repository_does_not_keep_the_others_from_being_read():
    class Partly(MemoryComments):
        async def recent_comments(self, repository, since):
            if repository == "1":
                raise PermanentError("place_gone", "There is no such repository")
            return await super().recent_comments(repository, since)

    comments, inbox = Partly(), FakeInbox()
    comments.news = [replace(REVIEW, body="Otherwise please")]
    config = GitHubSurfaceConfig(payloads.SECRET, {"1": "gone", payloads.HELLO_WORLD: "hello"})
    surface = GitHubSurface(config, comments, now=lambda: NOW)
    assert await surface.catch_up(inbox, NOW - timedelta(days=400)) == 1
    assert comments.asked_since == [NOW - timedelta(days=3)]


async def test_an_outage_while_catching_up_is_waited_out_and_nothing_is_skipped():
    comments, inbox = MemoryComments(), FakeInbox()
    surface = GitHubSurface(GitHubSurfaceConfig(payloads.SECRET, {"1": "x"}), comments, catch_up_every_s=0.01)
    comments.down = TransientError("github_down", "down", retry_after_s=0.01)
    running = asyncio.create_task(surface.run(inbox))
    await asyncio.sleep(0)
    comments.down = None
    try:
        async with asyncio.timeout(10):
            while len(comments.asked_since) < 3:  # noqa: ASYNC110 - a deadline stands around it
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    first, second, third = comments.asked_since[:3]
    assert second - first > timedelta(days=2)
    assert third - second < timedelta(minutes=1)


async def test_ears_that_cannot_keep_stop_a_catch_up_before_its_time_moves_on():
    comments, inbox = MemoryComments(), FakeInbox(refuses=True)
    comments.news = [replace(REVIEW, body="Otherwise please")]
    config = GitHubSurfaceConfig(payloads.SECRET, {payloads.HELLO_WORLD: "hello"})
    surface = GitHubSurface(config, comments, now=lambda: NOW)
    with pytest.raises(TransientError):
        await surface.catch_up(inbox, NOW - timedelta(hours=1))
    inbox.refuses = False
    assert await surface.catch_up(inbox, NOW - timedelta(hours=1)) == 1


async def test_posts_of_one_card_at_once_make_one_comment(harness):
    place = Place("github", payloads.HELLO_WORLD, "pull/1")
    drawn = RenderedCard("<!-- countersign:task:1 -->\n<!-- countersign:revision:1 -->\n\nx")
    ids = await asyncio.gather(*(harness.surface.post(place, drawn, None) for _ in range(10)))
    assert len(set(ids)) == len(harness.comments.bodies) == 1


async def test_without_repositories_there_is_nothing_to_ask(make_harness):
    harness = make_harness(repositories={})
    harness.comments.down = AssertionError("nobody is asked")
    assert [row["verdict"] for row in await harness.surface.check()] == ["ok", "warn"]
    assert await harness.surface.catch_up(harness.inbox, NOW) == 0
