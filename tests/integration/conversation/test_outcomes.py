"""People learn the outcome where they asked, and approvers once (chat.md 12, 13, 16, 20)."""

from __future__ import annotations

import pytest

from bot.surfaces.port import Place
from core.model.errors import TransientError
from core.model.lifecycle import State
from tests.fakes.surface import MemorySurface
from tests.homes import CliHome
from tests.integration.conversation.conftest import WHERE
from tests.served_home import ASK, IDS, ServedHome, introduce, serve_home

pytestmark = pytest.mark.surfaces

GROUP = WHERE["telegram"]
LEES = Place("telegram", "103", None, private=True)


def said_in(served: ServedHome, where: Place) -> list[str]:
    """What was said in a place, oldest first."""
    chat = served.memory(where.surface)
    return [m.text for m in chat.messages.values() if m.card is None and m.place == where and m.text]


async def test_chat_12_rights_are_judged_before_a_button_asks_for_words(served: ServedHome) -> None:
    card = await served.staged(GROUP)
    for label in ("Reject", "Reply", "Reject"):
        answer = await served.clicks("lee", card, label)
        assert answer.form, "lee may"
    answer = await served.clicks("bo", card, "Reject")
    assert answer.refused
    assert not answer.form
    assert "bo may not reject" in answer.text
    assert "approve" not in answer.text
    policy = served.home.root / "policy.yaml"
    policy.write_text(policy.read_text().replace("from: [member, maintainer]", "from: [maintainer]"))
    answer = await served.clicks("bo", card, "Reply")
    assert answer.refused
    assert not answer.form
    assert (await served.task()).state is State.STAGED


async def test_chat_12_parts_are_listed_only_for_who_may_pick(served: ServedHome) -> None:
    card = await served.staged(GROUP, f'{ASK}; create config/b.json with "{{}}"')
    policy = served.home.root / "policy.yaml"
    policy.write_text(policy.read_text().replace("from: [member, maintainer]", "from: [maintainer]"))
    answer = await served.clicks("bo", card, "Pick")
    assert answer.refused
    assert not answer.form
    assert not any("config/b.json" in words for words in served.memory().words)


async def test_chat_12_what_became_of_typed_words_is_said(served: ServedHome) -> None:
    card = await served.staged(GROUP)
    answer = await served.clicks("bo", card, "Reject", "too long")
    assert answer.refused
    await served.until(lambda: any("may not reject" in words for words in said_in(served, GROUP)), "the refusal")
    await served.clicks("lee", card, "Reject", "too long")
    await served.until(lambda: "You rejected #1." in said_in(served, GROUP), "the answer")
    said = next(m for m in served.memory().messages.values() if m.text == "You rejected #1.")
    assert said.reply_to == card.id


async def test_chat_13_who_typed_it_elsewhere_hears_the_outcome_there_once(served: ServedHome) -> None:
    card = await served.staged(GROUP)
    await served.clicks("lee", card, "Approve")
    await served.card(1, "published")
    assert (await served.says("lee", "/merge 1", LEES)).text == "#1 is being merged."
    await served.until(lambda: "#1 is merged." in said_in(served, LEES), "the outcome")
    await served.card(1, "merged")
    assert said_in(served, LEES).count("#1 is merged.") == 1
    assert "#1 is merged." not in said_in(served, GROUP), "there the card says it"


async def test_chat_13_a_refusal_comes_where_it_was_typed_too(served: ServedHome) -> None:
    card = await served.staged(GROUP)
    await served.clicks("lee", card, "Approve")
    await served.card(1, "published")
    policy = served.home.root / "policy.yaml"
    policy.write_text(policy.read_text().replace("count: 1", "count: 2"))
    assert not (await served.says("lee", "/merge 1", LEES)).refused
    await served.until(lambda: any("not merged" in words for words in said_in(served, LEES)), "the outcome")
    (words,) = [words for words in said_in(served, LEES) if "not merged" in words]
    assert "may not be merged" in words
    policy.write_text(policy.read_text().replace("count: 2", "count: 1"))
    await served.says("lee", "/merge 1", GROUP)
    await served.card(1, "merged")
    assert "#1 is merged." not in said_in(served, LEES), "what was asked there had its answer"


async def test_chat_13_an_undo_typed_elsewhere(served: ServedHome) -> None:
    card = await served.staged(GROUP)
    await served.clicks("lee", card, "Approve")
    await served.card(1, "published")
    assert not (await served.says("lee", "/undo 1", LEES)).refused
    await served.until(lambda: any("is undone" in words for words in said_in(served, LEES)), "the outcome")


async def test_chat_13_what_is_refused_at_once_is_said_once(served: ServedHome) -> None:
    await served.staged(GROUP)
    assert (await served.says("lee", "/merge 1", LEES)).refused
    card = served.memory().cards[-1]
    await served.clicks("lee", card, "Approve")
    await served.card(1, "published")
    await served.says("lee", "/merge 1", GROUP)
    await served.card(1, "merged")
    assert len(said_in(served, LEES)) == 1


async def test_chat_16_approvers_are_notified_once_a_revision_by_a_message_of_its_own(served: ServedHome) -> None:
    card = await served.staged(GROUP)
    chat = served.memory()
    await served.until(lambda: chat.words, "the word to the approvers")
    (note,) = [m for m in chat.messages.values() if m.text]
    assert note.mentions == (("lee", IDS["telegram"]["lee"]), ("max", IDS["telegram"]["max"]))
    assert (note.text, note.reply_to) == ("#1 waits for lee, max.", card.id)
    await served.says("bo", "/show 1", GROUP)
    await served.until(lambda: len(chat.cards) == 2, "the card again")
    await served.says("bo", "/show 1", WHERE["slack"])
    await served.card(1, "staged", "slack")
    slack = served.memory("slack")
    assert len(chat.words) == 1
    assert slack.words == [], "they were told in the group"
    await served.says("ana", "set server.host to b in config/app.yaml", GROUP, reply_to=card.id)
    await served.until(lambda: len(chat.words + slack.words) == 2, "the word about the next revision, in one place")


async def test_chat_16_a_crash_between_tells_nobody_twice(home: CliHome) -> None:
    introduce(home)
    chat = MemorySurface("telegram")
    async with serve_home(home, {"telegram": chat}) as served:
        await served.staged(GROUP)
        await served.until(lambda: chat.words, "the word")
    async with serve_home(home, {"telegram": chat}) as served:
        await served.says("bo", "/show 1", GROUP)
        await served.until(lambda: len(chat.cards) == 2, "the card again")
        await served.card(1, "staged")
        await served.until(lambda: chat.cards[-1].buttons, "its buttons")
    assert chat.words == ["#1 waits for lee, max."]


@pytest.mark.parametrize(("closed", "offered"), [(("third",), ["docs", "more"]), (("more", "third"), [])])
async def test_chat_16_only_lanes_that_would_take_it_are_offered(
    home: CliHome, closed: tuple[str, ...], offered: list[str]
) -> None:
    """Three lanes cover the file and policy asks which; members may not use those that are `closed` to them."""
    introduce(home)
    lanes, policy = home.root / "lanes", home.root / "policy.yaml"
    for name in ("more", "third"):
        text = (lanes / "docs.yaml").read_text().replace("name: docs", f"name: {name}")
        (lanes / f"{name}.yaml").write_text(text)
    who = "lane: [docs, more, third], from: [member, maintainer]"
    asks = f"rules:\n  - name: which\n    when: {{{who}}}\n    ask: Which of them?\n"
    asks += "".join(
        f"  - name: no-{name}\n    when: {{lane: [{name}], from: [member]}}\n    deny: {name} is for maintainers\n"
        for name in closed
    )
    rules = policy.read_text().replace("lane: docs", "lane: [docs, more, third]")
    policy.write_text(rules.replace("rules:\n", asks, 1))
    async with serve_home(home, {"telegram": MemorySurface("telegram")}) as served:
        await served.says("ana", 'append "- x" to CHANGELOG.md', GROUP)
        await served.until(lambda: served.memory().cards, "a card")
        if not offered:
            await served.card(1, "staged")
            assert (await served.task()).current.lane == "docs", "with one lane left nothing is asked"
            return
        asking = await served.card(1, "asking")
        assert [label for label in asking.buttons if label in ("docs", "more", "third")] == offered
        await served.clicks("ana", asking, "more")
        await served.until(lambda: served.memory().cards[-1].shown.revision == 2, "the answer's revision")
        await served.card(1, "staged")


async def test_chat_20_a_link_names_the_account_asks_and_can_be_taken_away(served: ServedHome) -> None:
    slack = served.memory("slack")
    room = Place("slack", "C1", None)
    asked = await served.deliver(slack.writes("T1AAA/U777", "/link lee", room, name="Lee\u202e L."))
    code = asked.text.split()[3].rstrip(".")
    answer = await served.says("lee", f"/link {code}", LEES)
    assert "slack T1AAA/U777" in answer.text
    assert "including approving" in answer.text
    assert "\u202e" not in answer.text
    assert f"/link {code} yes" in answer.text
    assert "do not know you" in (await served.deliver(slack.writes("T1AAA/U777", "/queue", room))).text
    chat = served.memory()
    await served.until(lambda: any("Yes, that is me" in m.buttons for m in chat.messages.values()), "a button")
    question = next(m for m in chat.messages.values() if "Yes, that is me" in m.buttons)
    assert "acts as lee" in (await served.clicks("lee", question, "Yes")).text
    assert not (await served.deliver(slack.writes("T1AAA/U777", "/queue", room))).refused
    assert "/unlink slack T1AAA/U777" in (await served.says("lee", "/unlink", LEES)).text
    assert (await served.says("max", "/unlink slack T1AAA/U777", GROUP)).refused, "it is not max's"
    assert not (await served.says("lee", "/unlink slack T1AAA/U777", LEES)).refused
    assert (await served.deliver(slack.writes("T1AAA/U777", "/queue", room))).refused
    assert (await served.says("lee", "/unlink telegram 103", LEES)).refused, "that one is the configuration's"


async def test_an_answer_that_could_not_be_said_yet_still_binds(served: ServedHome) -> None:
    await served.staged(GROUP)
    chat = served.memory()
    await served.until(lambda: chat.words, "the word to the approvers")
    chat.faults = [TransientError("429", "slow down", retry_after_s=0.1)]
    await served.says("bo", "/why 1", GROUP)
    await served.until(lambda: any("is staged" in words for words in chat.words), "the answer")
    answer = next(m for m in chat.messages.values() if "is staged" in m.text)
    await served.says("ana", "set server.host to b in config/app.yaml", GROUP, reply_to=answer.id)
    await served.until(lambda: chat.cards[-1].shown.revision == 2, "revision 2")
