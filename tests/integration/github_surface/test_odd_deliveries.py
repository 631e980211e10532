"""Deliveries and comments that cannot be read, edits without other words, and line comments that are answered."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.surfaces.github.comment_text import CommentAuthor, CommentKind, WrittenComment, parse_time
from bot.surfaces.port import QuotedMessage
from tests.integration.github_surface.payloads import CODERTOCAT, HELLO_WORLD, NOW, commented, on_line

pytestmark = pytest.mark.surfaces

WORDS = "the-secret-plan"
DECLARATION = "<div>\n<![the-secret-plan x]>\n</div>\n\n/undo 5"


def written(body: str, number: int = 1) -> WrittenComment:
    at = NOW - timedelta(minutes=1)
    return WrittenComment(
        CommentKind.COMMENT, number, CommentAuthor(7, "ana", is_person=True), body, at, at, 1, is_on_pull_request=True
    )


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "0000-00-00T00:00:00Z", "x"])
async def test_chat_01_a_time_that_there_is_not_is_no_time(harness, at):
    assert parse_time(at) is None
    assert (await harness.deliver("issue_comment", commented(f"/undo 5 {WORDS}", at=at))).status_code == 202
    assert harness.texts == []


async def test_chat_01_html_that_the_library_gives_up_at_breaks_nothing(harness, capfd):
    assert (await harness.deliver("issue_comment", commented(DECLARATION))).status_code == 202
    assert (await harness.deliver("issue_comment", commented("/undo 6"))).status_code == 202
    assert harness.texts == ["/undo 6"]
    out, err = capfd.readouterr()
    assert WORDS not in out + err


async def test_chat_01_a_comment_that_breaks_us_keeps_no_other_away_when_we_catch_up(harness, capfd):
    broken = replace(written(f"/undo 4 {WORDS}"), author=None)  # type: ignore[arg-type]  # as no reader of ours gives it
    harness.comments.now = [broken, written("/undo 5", 2)]

    async def recent(_repository, _since):
        return harness.comments.now

    harness.comments.recent_comments = recent
    assert await harness.surface.catch_up(harness.inbox, NOW - timedelta(hours=1)) == 1
    assert harness.texts == ["/undo 5"]
    out, err = capfd.readouterr()
    assert "comment_broke" in out + err
    assert WORDS not in out + err


async def test_chat_05_an_edit_beside_a_command_does_not_say_it_again(harness):
    """A box that is ticked months later: what was heard is not known any more, but GitHub says what stood there."""
    payload = commented("- [x] done\n\n/undo 5\n\n/cancel 6", action="edited")
    payload["changes"] = {"body": {"from": "- [ ] done\n\n/undo 5"}}
    assert (await harness.deliver("issue_comment", payload)).status_code == 202
    assert harness.texts == ["/cancel 6"]


async def test_chat_05_an_edit_that_leaves_the_words_alone_says_nothing(harness):
    payload = commented("/undo 5", action="edited")
    for payload["changes"] in ({"body": {"from": "/undo 5"}}, {"title": {"from": "x"}}):
        assert (await harness.deliver("issue_comment", payload)).status_code == 202
    assert harness.texts == []


async def test_chat_05_the_same_command_once_more_is_another_one(harness):
    payload = commented("/undo 5\n\n/undo 5", action="edited")
    payload["changes"] = {"body": {"from": "/undo 5"}}
    await harness.deliver("issue_comment", payload)
    assert harness.texts == ["/undo 5"]


@pytest.mark.parametrize(
    ("body", "heard"),
    [
        ("please @countersign, set a to 1", "please set a to 1"),
        ("set a to 1, @countersign", "set a to 1"),
        ("@countersign append the line x:", "append the line x:"),
        ("@countersign - set a to 1", "set a to 1"),
        ("@countersign\nset a to 1", "set a to 1"),
    ],
)
async def test_chat_11_what_stands_beside_our_name_goes_with_it(harness, body, heard):
    await harness.deliver("issue_comment", commented(body))
    assert harness.texts == [heard]


async def test_chat_09_a_line_comment_that_is_answered_is_quoted(harness):
    payload = on_line("@countersign do this", in_reply_to_id=77)
    await harness.deliver("pull_request_review_comment", payload)
    (heard,) = harness.inbox.messages

    async def at(_repository, kind, comment):
        assert (kind, comment) == (CommentKind.LINE, 77)
        return replace(written("say pipx"), author=CommentAuthor(9, "max", is_person=True))

    harness.comments.comment = at
    assert (await harness.surface.complete_message(heard)).quoted == QuotedMessage("say pipx", "9", "max")
    assert heard.identity == str(CODERTOCAT)
    assert heard.place.channel == HELLO_WORLD
