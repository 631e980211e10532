"""People learn what became of it, where they asked, and approvers once (chat.md 12, 13, 16, 20)."""

from __future__ import annotations

import pytest

from bot.surfaces.port import Place
from core.model.errors import TransientError
from core.model.lifecycle import State
from tests.fakes.surface import MemorySurface
from tests.homes import CliHome
from tests.integration.conversation.conftest import WHERE
from tests.town import ASK, IDS, Town, introduce, town

pytestmark = pytest.mark.surfaces

GROUP = WHERE["telegram"]
LEES = Place("telegram", "103", None, private=True)


def said_in(served: Town, where: Place) -> list[str]:
    """What was said in a place, oldest first."""
    chat = served.memory(where.surface)
    return [m.text for m in chat.messages.values() if m.card is None and m.place == where and m.text]


async def test_chat_12_rights_are_judged_before_a_button_asks_for_words(everywhere: Town) -> None:
    card = await everywhere.staged(GROUP)
    for label in ("Reject", "Reply", "Reject"):
        answer = await everywhere.clicks("lee", card, label)
        assert answer.form, "lee may"
    answer = await everywhere.clicks("bo", card, "Reject")
    assert answer.refused
    assert not answer.form
    assert "bo may not reject" in answer.text
    assert "approve" not in answer.text
    policy = everywhere.home.root / "policy.yaml"
    policy.write_text(policy.read_text().replace("from: [member, maintainer]", "from: [maintainer]"))
    answer = await everywhere.clicks("bo", card, "Reply")
    assert answer.refused
    assert not answer.form
    assert (await everywhere.task()).state is State.STAGED


async def test_chat_12_parts_are_listed_only_for_who_may_pick(everywhere: Town) -> None:
    card = await everywhere.staged(GROUP, f'{ASK}; create config/b.json with "{{}}"')
    policy = everywhere.home.root / "policy.yaml"
    policy.write_text(policy.read_text().replace("from: [member, maintainer]", "from: [maintainer]"))
    answer = await everywhere.clicks("bo", card, "Pick")
    assert answer.refused
    assert not answer.form
    assert not any("config/b.json" in words for words in everywhere.memory().words)


async def test_chat_12_what_became_of_typed_words_is_said(everywhere: Town) -> None:
    card = await everywhere.staged(GROUP)
    answer = await everywhere.clicks("bo", card, "Reject", "too long")
    assert answer.refused
    await everywhere.until(
        lambda: any("may not reject" in words for words in said_in(everywhere, GROUP)), "the refusal"
    )
    await everywhere.clicks("lee", card, "Reject", "too long")
    await everywhere.until(lambda: "You rejected #1." in said_in(everywhere, GROUP), "the answer")
    said = next(m for m in everywhere.memory().messages.values() if m.text == "You rejected #1.")
    assert said.reply_to == card.id


async def test_chat_13_who_typed_it_elsewhere_hears_the_outcome_there_once(everywhere: Town) -> None:
    card = await everywhere.staged(GROUP)
    await everywhere.clicks("lee", card, "Approve")
    await everywhere.card(1, "published")
    assert (await everywhere.says("lee", "/merge 1", LEES)).text == "#1 is being merged."
    await everywhere.until(lambda: "#1 is merged." in said_in(everywhere, LEES), "the outcome")
    await everywhere.card(1, "merged")
    assert said_in(everywhere, LEES).count("#1 is merged.") == 1
    assert "#1 is merged." not in said_in(everywhere, GROUP), "there the card says it"


async def test_chat_13_a_refusal_comes_where_it_was_typed_too(everywhere: Town) -> None:
    card = await everywhere.staged(GROUP)
    await everywhere.clicks("lee", card, "Approve")
    await everywhere.card(1, "published")
    policy = everywhere.home.root / "policy.yaml"
    policy.write_text(policy.read_text().replace("count: 1", "count: 2"))
    assert not (await everywhere.says("lee", "/merge 1", LEES)).refused
    await everywhere.until(lambda: any("not merged" in words for words in said_in(everywhere, LEES)), "the outcome")
    (words,) = [words for words in said_in(everywhere, LEES) if "not merged" in words]
    assert "may not be merged" in words
    policy.write_text(policy.read_text().replace("count: 2", "count: 1"))
    await everywhere.says("lee", "/merge 1", GROUP)
    await everywhere.card(1, "merged")
    assert "#1 is merged." not in said_in(everywhere, LEES), "what was asked there had its answer"


async def test_chat_13_an_undo_typed_elsewhere(everywhere: Town) -> None:
    card = await everywhere.staged(GROUP)
    await everywhere.clicks("lee", card, "Approve")
    await everywhere.card(1, "published")
    assert not (await everywhere.says("lee", "/undo 1", LEES)).refused
    await everywhere.until(lambda: any("is undone" in words for words in said_in(everywhere, LEES)), "the outcome")


async def test_chat_13_what_is_refused_at_once_is_said_once(everywhere: Town) -> None:
    await everywhere.staged(GROUP)
    assert (await everywhere.says("lee", "/merge 1", LEES)).refused
    card = everywhere.memory().cards[-1]
    await everywhere.clicks("lee", card, "Approve")
    await everywhere.card(1, "published")
    await everywhere.says("lee", "/merge 1", GROUP)
    await everywhere.card(1, "merged")
    assert len(said_in(everywhere, LEES)) == 1


async def test_chat_16_approvers_are_notified_once_a_revision_by_a_message_of_its_own(everywhere: Town) -> None:
    card = await everywhere.staged(GROUP)
    chat = everywhere.memory()
    await everywhere.until(lambda: chat.words, "the word to the approvers")
    (note,) = [m for m in chat.messages.values() if m.text]
    assert note.mentions == (("lee", IDS["telegram"]["lee"]), ("max", IDS["telegram"]["max"]))
    assert (note.text, note.reply_to) == ("#1 waits for lee, max.", card.id)
    await everywhere.says("bo", "/show 1", GROUP)
    await everywhere.until(lambda: len(chat.cards) == 2, "the card again")
    await everywhere.says("bo", "/show 1", WHERE["slack"])
    await everywhere.card(1, "staged", "slack")
    slack = everywhere.memory("slack")
    assert len(chat.words) == 1
    assert slack.words == [], "they were told in the group"
    await everywhere.says("ana", "set server.host to b in config/app.yaml", GROUP, reply_to=card.id)
    await everywhere.until(lambda: len(chat.words + slack.words) == 2, "the word about the next revision, in one place")


async def test_chat_16_a_crash_between_tells_nobody_twice(home: CliHome) -> None:
    introduce(home)
    chat = MemorySurface("telegram")
    async with town(home, {"telegram": chat}) as served:
        await served.staged(GROUP)
        await served.until(lambda: chat.words, "the word")
    async with town(home, {"telegram": chat}) as served:
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
    async with town(home, {"telegram": MemorySurface("telegram")}) as served:
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


async def test_chat_20_a_link_names_the_account_asks_and_can_be_taken_away(everywhere: Town) -> None:
    slack = everywhere.memory("slack")
    room = Place("slack", "C1", None)
    asked = await everywhere._tell(slack.writes("T1AAA/U777", "/link lee", room, name="Lee\u202e L."))
    code = asked.text.split()[3].rstrip(".")
    answer = await everywhere.says("lee", f"/link {code}", LEES)
    assert "slack T1AAA/U777" in answer.text
    assert "approvals too" in answer.text
    assert "\u202e" not in answer.text
    assert f"/link {code} yes" in answer.text
    assert "do not know you" in (await everywhere._tell(slack.writes("T1AAA/U777", "/queue", room))).text
    chat = everywhere.memory()
    await everywhere.until(lambda: any("Yes, that is me" in m.buttons for m in chat.messages.values()), "a button")
    question = next(m for m in chat.messages.values() if "Yes, that is me" in m.buttons)
    assert "acts as lee" in (await everywhere.clicks("lee", question, "Yes")).text
    assert not (await everywhere._tell(slack.writes("T1AAA/U777", "/queue", room))).refused
    assert "/unlink slack T1AAA/U777" in (await everywhere.says("lee", "/unlink", LEES)).text
    assert (await everywhere.says("max", "/unlink slack T1AAA/U777", GROUP)).refused, "it is not max's"
    assert not (await everywhere.says("lee", "/unlink slack T1AAA/U777", LEES)).refused
    assert (await everywhere._tell(slack.writes("T1AAA/U777", "/queue", room))).refused
    assert (await everywhere.says("lee", "/unlink telegram 103", LEES)).refused, "that one is the configuration's"


async def test_an_answer_that_could_not_be_said_yet_still_binds(everywhere: Town) -> None:
    await everywhere.staged(GROUP)
    chat = everywhere.memory()
    await everywhere.until(lambda: chat.words, "the word to the approvers")
    chat.faults = [TransientError("429", "slow down", retry_after_s=0.1)]
    await everywhere.says("bo", "/why 1", GROUP)
    await everywhere.until(lambda: any("is staged" in words for words in chat.words), "the answer")
    answer = next(m for m in chat.messages.values() if "is staged" in m.text)
    await everywhere.says("ana", "set server.host to b in config/app.yaml", GROUP, reply_to=answer.id)
    await everywhere.until(lambda: chat.cards[-1].shown.revision == 2, "revision 2")
