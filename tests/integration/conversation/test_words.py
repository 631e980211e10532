"""What words may change: those that ask for nothing, or that no one can read, change nothing (chat.md 3, 4, 8)."""

from __future__ import annotations

import pytest

from bot.surfaces.port import Place
from core.model.lifecycle import State
from tests.integration.conversation.conftest import WHERE
from tests.served_home import ASK, ServedHome

pytestmark = pytest.mark.surfaces

PRAISE = ("lgtm 👍", "LGTM!", "👍🏽", "ship it 🚀", "@countersign-bot looks good to me", "Approved.", ":+1:", "+1")
SUGGESTION = "maybe:\n```suggestion\n  timeout: 31\n```"
OTHERS = (SUGGESTION, "I think @countersign-bot is great", "what about the other thing here?", "no", "why though")


async def test_chat_03_praise_leaves_what_is_staged(served: ServedHome) -> None:
    """Each surface in turn: the same digest, the same card, no author more, and the answer says how to countersign."""
    for n, (name, where) in enumerate(WHERE.items(), start=1):
        card = await served.staged(where, ASK.replace("30", f"{30 + n}"))
        digest, cards = await served.digest(n), len(served.memory(name).cards)
        for words in PRAISE:
            answer = await served.says("lee", words, where, reply_to=card.id, context="config/app.yaml, line 3")
            assert answer.refused, words
            assert "approve nothing" in answer.text, answer.text
            assert f"approve {n} DIGEST" in answer.text
        for words in OTHERS:
            answer = await served.says("lee", words, where, reply_to=card.id, context="config/app.yaml, line 3")
            assert answer.refused, words
            assert f"#{n} stays as it is" in answer.text, answer.text
            assert "\n" not in answer.text
        task = await served.task(n)
        assert (task.state, task.revision, sorted(task.authors)) == (State.STAGED, 1, ["ana"])
        assert await served.digest(n) == digest
        assert len(served.memory(name).cards) == cards
        answer = await served.clicks("lee", card, "Approve")
        assert not answer.refused, "lee's praise made lee no author"
        await served.card(n, "published", name)


async def test_chat_03_what_policy_refuses_leaves_what_is_staged(served: ServedHome) -> None:
    where = WHERE["telegram"]
    card = await served.staged(where)
    digest = await served.digest()
    answer = await served.says("ana", "delete .github/workflows/ci.yml", where, reply_to=card.id)
    assert answer.refused
    assert "#1 stays as it is" in answer.text
    assert "may not be changed in any lane" in answer.text
    assert await served.digest() == digest


async def test_chat_03_the_same_where_a_task_asks_was_refused_or_is_published(served: ServedHome) -> None:
    where = WHERE["telegram"]
    await served.says("ana", "/task improve the wording somewhere", where)
    asking = await served.card(1, "asking")
    for words in ("lgtm", "thanks!", "whatever you like", "hm 🤔"):
        assert (await served.says("ana", words, where, reply_to=asking.id)).refused, words
    assert ((await served.task(1)).state, (await served.task(1)).revision) == (State.ASKING, 1)
    await served.says("ana", "delete .github/workflows/ci.yml", where)
    refused = await served.card(2, "refused")
    for words in ("lgtm", "too bad", "why on earth"):
        assert (await served.says("ana", words, where, reply_to=refused.id)).refused, words
    assert ((await served.task(2)).state, (await served.task(2)).revision) == (State.REFUSED, 1)
    card = await served.staged(where)
    await served.clicks("lee", card, "Approve")
    published = await served.card(3, "published")
    answer = await served.says("ana", "ship it", where, reply_to=published.id)
    assert answer.refused
    assert "merge 3" in answer.text
    assert ((await served.task(3)).state, (await served.task(3)).revision) == (State.PUBLISHED, 1)


async def test_chat_03_who_says_only_again_writes_nothing_and_may_approve(served: ServedHome) -> None:
    where = WHERE["telegram"]
    card = await served.staged(where)
    await served.says("lee", "try again", where, reply_to=card.id)
    await served.until(lambda: len(served.memory().cards) == 2, "a second card")
    second = await served.card(1, "staged")
    assert (await served.task()).authors == {"ana"}
    assert not (await served.clicks("lee", second, "Approve")).refused


async def test_chat_04_whoever_policy_lets_ask_may_answer_a_question(served: ServedHome) -> None:
    where = WHERE["telegram"]
    await served.says("ana", "/task improve the wording somewhere", where)
    asking = await served.card(1, "asking")
    answer = await served.says("max", "set server.timeout to 31 in config/app.yaml", where, reply_to=asking.id)
    assert not answer.refused, answer.text
    await served.card(1, "staged")
    assert (await served.task()).authors == {"ana", "max"}


async def test_chat_04_who_may_not_is_told_who_is_asked(served: ServedHome) -> None:
    where = WHERE["telegram"]
    policy = served.home.root / "policy.yaml"
    await served.says("ana", "/task improve the wording somewhere", where)
    asking = await served.card(1, "asking")
    policy.write_text(policy.read_text().replace("from: [member, maintainer]", "from: [member]"))
    answer = await served.says("max", "set server.timeout to 31 in config/app.yaml", where, reply_to=asking.id)
    assert answer.refused
    assert "#1 asks ana" in answer.text
    assert "in the lane" not in answer.text
    assert "Ask ana to answer" in answer.text


@pytest.mark.parametrize(
    "words",
    [
        "hi",
        "Thanks!",
        "ok",
        "test",
        "🎉🎉",
        "?",
        "help me",
        "Good morning everyone",
        "thank you Maria",
        "...",
        "how are you?",
    ],
)
async def test_chat_08_words_that_ask_for_nothing_make_no_task(served: ServedHome, words: str) -> None:
    for where in (*WHERE.values(), Place("telegram", "101", None, private=True)):
        answer = await served.says("ana", words, where)
        assert answer.refused, answer
        assert answer.text
        assert "\n" not in answer.text
    assert all(not served.memory(name).cards for name in WHERE)
    assert (await served.says("ana", "/progress", WHERE["telegram"])).text == "You have no recent requests."


async def test_chat_08_people_who_thank_each_other_in_a_thread_hear_nothing(served: ServedHome) -> None:
    where = WHERE["slack"]
    await served.staged(where)
    for words in ("thanks!", "<@U0LEE> what do you think?", "@lee have a look"):
        assert (await served.says("bo", words, where, addressed=False)).text == ""
    assert (await served.task()).revision == 1
