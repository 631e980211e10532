"""Through the wire: a request becomes a pull request at GitHub, comments make the next revision, green merges."""

from __future__ import annotations

import asyncio

import pytest

from bot.surfaces.port import Place
from core.model.lifecycle import State
from tests.e2e.surfaces.conftest import served
from tests.e2e.surfaces.hub import REPO, allow_merging, approved_tree, ours, status, tree_of
from tests.fakes.surface import MemorySurface
from tests.served_home import ServedHome

pytestmark = pytest.mark.surfaces

GROUP = Place("telegram", "-100", None)


async def state(place: ServedHome, number: int = 1) -> State:
    return (await place.app.documents.document(number)).task.state


async def test_a_request_in_chat_becomes_a_pull_request_whose_tree_is_the_approved_tree(hub, github):
    async with served(hub, github, telegram=MemorySurface("telegram")) as place:
        card = await place.staged(GROUP)
        await place.clicks("lee", card, "Approve")
        await place.card(1, "published")
        pull = github.pull(REPO, 1)
        assert tree_of(github, pull.sha) == await approved_tree(place)
        await place.until(lambda: status(github, pull.sha) == "success", "the status")
        opened = (await place.task()).pull_request
        assert opened is not None
        files = github.git(REPO).run("ls-tree", "--name-only", opened.files.rsplit("/", 1)[1]).decode().split()
        assert {"change.patch", "receipt.json"} <= set(files)
        verified = await asyncio.to_thread(hub.run, "verify", 1)
        assert verified.code == 0, verified


async def test_a_comment_makes_revision_two_which_is_approved_there_and_merges_on_green(hub, github):
    allow_merging(hub)
    async with served(hub, github, telegram=MemorySurface("telegram")) as place:
        card = await place.staged(GROUP)
        await place.clicks("lee", card, "Approve")
        await place.card(1, "published")
        first = github.pull(REPO, 1).sha
        sticky = await place.until(lambda: ours(github), "the card in the pull request")
        assert len(sticky) == 1

        github.comment(REPO, 1, "bo", "/reply set server.host to b in config/app.yaml")
        staged = await place.card(1, "staged")
        assert staged.shown.revision == 2
        digest = await place.digest()
        await place.until(lambda: digest[:20] in ours(github)[0], "the new digest in the comment")
        sticky = [comment for comment in ours(github) if comment.startswith("<!-- countersign:task:1 -->")]
        assert len(sticky) == 1, "one sticky comment; a notice below it may quote its first line"

        await place.until_delivered(1, "github", digest)
        github.comment(REPO, 1, "max", f"Looks right to me.\n\n/approve {digest[:20]}")
        await place.card(1, "published")
        second = github.pull(REPO, 1).sha
        assert second != first
        assert tree_of(github, second) == await approved_tree(place)
        await place.until(lambda: status(github, second) == "success", "the status of the new head")

        github.set_check(REPO, second, "test", 15368, "success")
        await place.card(1, "merged")
        assert github.pull(REPO, 1).merge_sha
        document = await place.app.documents.document(1)
        assert [(t.person, t.surface) for t in document.turns] == [("ana", "telegram"), ("bo", "github")]
        assert [(a.person, a.surface) for a in document.approvals] == [("lee", "telegram"), ("max", "github")]


async def test_a_review_on_lines_becomes_a_turn_with_file_and_line(hub, github):
    async with served(hub, github, telegram=MemorySurface("telegram")) as place:
        await publish(place)
        github.review(REPO, 1, "bo", "CHANGES_REQUESTED", "set server.host to b in config/app.yaml")
        await place.until(lambda: len(place.memory().cards) == 2, "a second card")
        assert (await place.app.documents.document(1)).task.revision == 2


async def test_those_without_write_permission_are_ignored_and_strangers_who_may_write_are_told(hub, github):
    async with served(hub, github, telegram=MemorySurface("telegram")) as place:
        await publish(place)
        await place.until(lambda: ours(github), "the card in the pull request")
        before = len(github.repo(REPO).comments)
        github.user("mallory")
        github.comment(REPO, 1, "mallory", "/cancel 1")
        github.comment(REPO, 1, "mallory", "/undo")
        github.allow(REPO, "newcomer")
        github.comment(REPO, 1, "newcomer", "/undo")
        await place.until(lambda: any("do not know you" in c for c in ours(github)), "the word to the newcomer")
        assert len(github.repo(REPO).comments) == before + 4, "mallory was not answered"
        assert await state(place) is State.PUBLISHED


async def test_a_head_moved_by_hand_turns_red_and_does_not_merge(hub, github):
    allow_merging(hub)
    async with served(hub, github, telegram=MemorySurface("telegram")) as place:
        await publish(place)
        branch = github.pull(REPO, 1).head
        moved = github.push(REPO, branch, {"config/app.yaml": "evil: true\n"}, "bo")
        await place.until(lambda: status(github, moved) == "failure", "the red status")
        github.set_check(REPO, moved, "test", 15368, "success")
        await place.card(1, "published")
        await place.until(lambda: place.memory().cards[-1].shown.problem, "the trouble on the card")
        trouble = place.memory().cards[-1].shown.problem
        assert trouble is not None
        assert "no one countersigned" in trouble.message
        assert not github.pull(REPO, 1).merge_sha


@pytest.mark.parametrize("end", ["merged", "closed"])
async def test_a_pull_request_that_ends_by_hand_ends_the_task(hub, github, end):
    async with served(hub, github, telegram=MemorySurface("telegram")) as place:
        await publish(place)
        if end == "merged":
            github.merge_by_hand(REPO, 1, "max")
        else:
            github.close_by_hand(REPO, 1, "max")
        await place.card(1, end)


async def publish(place: ServedHome) -> None:
    card = await place.staged(GROUP)
    await place.clicks("lee", card, "Approve")
    await place.card(1, "published")
