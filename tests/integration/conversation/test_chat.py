"""The conversation on a surface in memory, over a real home: one card, clicks, replies, and what goes stale."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from sqlalchemy import text

from bot.configuration.home import Home
from bot.messaging.inbox import DurableInbox
from bot.surfaces.port import Place
from bot.wiring.app import opened
from core.model.errors import PermanentError, TransientError
from core.model.lifecycle import State
from core.services.message_inbox import MessageInbox
from core.store import inbox
from tests.fakes.surface import MemorySurface
from tests.homes import CliHome
from tests.served_home import ASK, IDS, ServedHome, introduce, serve_home

pytestmark = pytest.mark.surfaces

GROUP = Place("telegram", "-100", None)
DM = Place("telegram", "101", None, private=True)


@pytest_asyncio.fixture
async def served(home: CliHome) -> AsyncIterator[ServedHome]:
    """A served home with a group on one surface."""
    introduce(home)
    async with serve_home(home, {"telegram": MemorySurface("telegram"), "slack": MemorySurface("slack")}) as served:
        yield served


async def test_a_request_becomes_one_card_that_is_edited_until_it_is_published(served):
    card = await served.staged(GROUP)
    chat = served.memory()
    assert chat.seen == [card.reply_to], "eyes at once, and the card answers the asker's message"
    assert [label.split()[0] for label in card.buttons] == ["Approve", "Reject", "Reply", "Why"]
    answer = await served.clicks("lee", card, "Approve")
    assert not answer.refused
    assert "countersigned" in answer.text
    published = await served.card(1, "published")
    assert published.id == card.id
    assert len(chat.cards) == 1
    assert chat.words == ["#1 waits for lee, max."], "no chatter beside the word to whom it waits for"
    assert served.home.git("rev-parse", "countersign/1-set-server-timeout-to-30-in-config-app-y")


async def test_the_requester_may_not_approve_and_is_told_who_may(served):
    card = await served.staged(GROUP)
    answer = await served.clicks("ana", card, "Approve")
    assert answer.refused
    assert "lee, max" in answer.text
    assert (await served.app.documents.document(1)).task.state is State.STAGED


async def test_fifty_presses_at_once_are_one_decision(served):
    card = await served.staged(GROUP)
    presses = [served.clicks(who, card, "Approve") for who in ("lee", "max") for _ in range(25)]
    answers = await asyncio.gather(*presses)
    assert sum(not a.refused for a in answers) == 1
    losers = [a.text for a in answers if a.refused]
    assert all("lee" in text or "max" in text for text in losers), "the losers are told who decided"
    document = await served.app.documents.document(1)
    assert len(document.approvals) == 1


async def test_reject_asks_for_a_reason_which_is_kept(served):
    card = await served.staged(GROUP)
    asked = await served.clicks("lee", card, "Reject")
    assert asked.form == "reject"
    assert (await served.app.documents.document(1)).task.state is State.STAGED
    await served.clicks("lee", card, "Reject", "too long")
    rejected = await served.card(1, "rejected")
    assert rejected.card.problem.message == "lee rejected revision 1: too long"
    assert not any(label.startswith("Approve") for label in rejected.buttons)


async def test_a_reply_makes_a_new_card_and_the_old_one_says_superseded(served):
    card = await served.staged(GROUP)
    await served.says("ana", "set server.host to b in config/app.yaml", GROUP, reply_to=card.id)
    chat = served.memory()
    await served.until(lambda: len(chat.cards) == 2, "a second card")
    new = await served.card(1, "staged")
    await served.until(lambda: chat.messages[card.id].card.superseded_note, "the old card's word")
    assert new.card.revision == 2
    assert chat.messages[card.id].card.superseded_note == "superseded by #1.2"
    assert list(chat.messages[card.id].buttons) == ["Show #1.2"]


async def test_a_second_request_in_the_same_topic_is_a_task_of_its_own(served):
    topic = Place("telegram", "-100", "7")
    await served.staged(topic)
    await served.says("bo", "set server.host to b in config/app.yaml", topic)
    await served.card(2, "staged")
    assert (await served.task(1)).revision == 1


async def test_words_in_the_thread_of_a_task_are_a_reply_to_it(served):
    thread = Place("slack", "C1", "17.001")
    await served.staged(thread)
    await served.says("ana", "set server.host to b in config/app.yaml", thread)
    await served.until(lambda: len(served.memory("slack").cards) == 2, "a second card")
    assert (await served.card(1, "staged", "slack")).shown.revision == 2


async def test_a_stale_button_decides_nothing_and_explains_itself(served):
    card = await served.staged(GROUP)
    old = dict(card.buttons)
    await served.says("ana", "set server.host to b in config/app.yaml", GROUP, reply_to=card.id)
    await served.until(lambda: len(served.memory().cards) == 2, "a second card")
    await served.card(1, "staged")
    card.buttons = old
    for label, words in (("Approve", ""), ("Reject", "no"), ("Reply", "more")):
        answer = await served.clicks("lee", card, label, words)
        assert answer.refused, label
        assert "revision" in answer.text
    task = (await served.app.documents.document(1)).task
    assert (task.state, task.revision) == (State.STAGED, 2)


async def test_another_chats_button_and_a_made_up_one_do_nothing(served):
    card = await served.staged(GROUP)
    elsewhere = Place("telegram", "-666", None)
    press = served.memory().clicks(IDS["telegram"]["lee"], card, "Approve")
    for forged in (
        press.__class__(**{**_fields(press), "place": elsewhere, "dedup": "c:a"}),
        press.__class__(**{**_fields(press), "button": "A" * 22, "dedup": "c:b"}),
    ):
        answer = await served.deliver(forged)
        assert answer.refused
    assert (await served.app.documents.document(1)).task.state is State.STAGED


def _fields(said):
    return {name: getattr(said, name) for name in said.__slots__}


async def test_what_does_not_fit_is_attached_before_approve_is_there(home):
    introduce(home)
    chat = MemorySurface("telegram", room=1)
    chat.faults = []
    async with serve_home(home, {"telegram": chat}) as served:
        card = await served.staged(GROUP)
        await served.until(lambda: any(label.startswith("Approve") for label in card.buttons), "Approve")
        files = [m for m in chat.messages.values() if m.files]
        assert [sorted(m.files) for m in files] == [["1.1.html", "1.1.patch"]]
        assert b"timeout: 30" in files[0].files["1.1.patch"]


async def test_an_attachment_that_cannot_be_brought_leaves_the_card_without_approve(home):
    introduce(home)
    chat = MemorySurface("telegram", room=1)

    async def refuse(*_args):
        raise PermanentError("too_big", "the platform takes no such file")

    async with serve_home(home, {"telegram": chat}) as served:
        chat.__class__ = type("Bare", (MemorySurface,), {"attach": lambda _self, *args: refuse(*args), "__slots__": ()})
        await served.says("ana", ASK, GROUP)
        await served.until(lambda: chat.cards, "a card")
        for _ in range(20):
            await asyncio.sleep(0.05)
            assert not any(label.startswith("Approve") for card in chat.cards for label in card.buttons)


async def test_the_same_delivery_twice_is_one_task(served):
    heard = served.memory().writes(IDS["telegram"]["ana"], ASK, GROUP, dedup="m:same")
    taken = await asyncio.gather(*(served.serving.inbox.accept(heard) for _ in range(20)))
    assert sum(t.is_new for t in taken) == 1
    assert len({t.id for t in taken}) == 1
    await served.card(1, "staged")
    assert len(served.memory().cards) == 1


async def test_a_stranger_is_told_how_to_be_known_and_gets_nothing_else(served):
    heard = served.memory().writes("666", ASK, GROUP)
    answer = await served.deliver(heard)
    assert answer.refused
    assert "/link" in answer.text
    chatter = served.memory().writes("666", "hello all", GROUP, addressed=False)
    assert (await served.deliver(chatter)).text == ""
    assert served.memory().cards == []


async def test_people_talking_to_each_other_are_left_alone(served):
    await served.staged(GROUP)
    answer = await served.says("bo", "shall we have lunch?", GROUP, addressed=False)
    assert answer.text == ""
    assert len(served.memory().cards) == 1


async def test_linking_takes_both_sides_and_works_once(served):
    chat, slack = served.memory(), served.memory("slack")
    room = Place("slack", "C1", None)
    asked = await served.deliver(slack.writes("T1AAA/U777", "/link lee", room))
    code = asked.text.split()[3].rstrip(".")
    assert (await served.says("max", f"/link {code}", DM)).refused, "only lee may say it"
    assert "T1AAA/U777" in (await served.says("lee", f"/link {code}", DM)).text, "it names the account, and asks"
    assert not (await served.says("lee", f"/link {code} yes", DM)).refused
    assert (await served.says("lee", f"/link {code} yes", DM)).refused, "once"
    await served.staged(GROUP)
    digest = (await served.app.documents.document(1)).task.staged.digest
    await served.deliver(slack.writes("T1AAA/U777", "/show 1", room))
    await served.card(1, "staged", "slack")
    await served.until_delivered(1, room, digest)
    answer = await served.deliver(slack.writes("T1AAA/U777", f"/approve 1 {digest[:20]}", room))
    assert not answer.refused, answer
    assert [a.person for a in (await served.app.documents.document(1)).approvals] == ["lee"]
    assert chat.cards


async def test_five_wrong_codes_void_the_right_one(served):
    slack = served.memory("slack")
    asked = await served.deliver(slack.writes("T1AAA/U777", "/link lee", Place("slack", "C1", None)))
    code = asked.text.split()[3].rstrip(".")
    for n in range(5):
        assert (await served.says("lee", f"/link AAAAAAA{'BCDEF'[n]}", DM)).refused
    assert (await served.says("lee", f"/link {code}", DM)).refused


async def test_a_name_nobody_has_gets_a_code_that_is_worth_nothing(served):
    slack = served.memory("slack")
    asked = await served.deliver(slack.writes("T1AAA/U777", "/link nobody", Place("slack", "C1", None)))
    code = asked.text.split()[3].rstrip(".")
    for who in ("lee", "max", "ana"):
        assert (await served.says(who, f"/link {code}", DM)).refused


async def test_an_unclear_request_is_asked_back_with_buttons(home):
    introduce(home)
    (home.root / "lanes" / "more.yaml").write_text(
        (home.root / "lanes" / "docs.yaml").read_text().replace("name: docs", "name: more")
    )
    policy = home.root / "policy.yaml"
    policy.write_text(policy.read_text().replace("lane: docs", "lane: [docs, more]"))
    async with serve_home(home, {"telegram": MemorySurface("telegram")}) as served:
        await served.says("ana", 'append "- x" to CHANGELOG.md', GROUP)
        await served.until(lambda: served.memory().cards, "a card")
        asking = await served.card(1, "asking")
        assert {"docs", "more"} <= set(asking.buttons)
        await served.clicks("ana", asking, "docs")
        await served.until(lambda: len(served.memory().cards) == 2, "a second card")
        await served.card(1, "staged")
        assert (await served.app.documents.document(1)).task.current.lane == "docs"


async def test_commands_answer_in_words(served):
    card = await served.staged(GROUP)
    assert "timeout: 30" in (await served.says("bo", "/diff 1 config/app.yaml", GROUP)).text
    assert "config-changes" in (await served.says("bo", "/why 1", GROUP)).text
    assert "staged" in (await served.says("bo", "/progress 1", GROUP)).text
    assert "#1 staged" in (await served.says("ana", "/progress", GROUP)).text
    assert (await served.says("bo", "/queue", GROUP)).text == "The queue is empty."
    assert "/approve" in (await served.says("bo", "/help", GROUP)).text
    assert (await served.says("bo", "/hold lunch", GROUP)).refused, "bo is no maintainer"
    assert not (await served.says("lee", "/hold lunch", GROUP)).refused
    assert "lunch" in (await served.says("bo", "/queue", GROUP)).text
    assert not (await served.says("lee", "/release", GROUP)).refused
    misread = await served.says("bo", "/aprove 1 abc", GROUP)
    assert misread.refused
    assert "/approve" in misread.text
    assert (await served.says("lee", "/approve 1", GROUP)).refused, "an approval names the bytes"
    assert (await served.says("lee", "/cancel 99", GROUP)).refused
    assert not (await served.says("ana", "/cancel", GROUP, reply_to=card.id)).refused
    await served.card(1, "cancelled")


async def test_a_refusal_is_said_to_the_one_it_is_for(served):
    await served.says("lee", "/approve 1 aaaaaaaaaaaa", GROUP)
    await served.until(lambda: served.memory().words, "the answer")
    (note,) = [m for m in served.memory().messages.values() if m.text]
    assert note.only_to == IDS["telegram"]["lee"]
    assert "There is no task #1" in note.text


async def test_somebody_the_platform_no_longer_trusts_is_refused_at_the_click(served):
    card = await served.staged(GROUP)
    served.memory().banned[IDS["telegram"]["lee"]] = "lee left the workspace"
    answer = await served.clicks("lee", card, "Approve")
    assert (answer.refused, answer.text) == (True, "lee left the workspace")


async def test_an_approver_removed_between_card_and_click_is_refused(served):
    card = await served.staged(GROUP)
    config = served.home.root / "countersign.yaml"
    config.write_text(config.read_text().replace("lee: {roles: [maintainer]", "lee: {roles: [member]"))
    assert (await served.clicks("lee", card, "Approve")).refused


async def test_only_some_files_are_picked_and_countersigned_under_a_new_digest(served):
    """Who may approve may leave parts out; the rest is guarded again and has a digest of its own."""
    card = await served.staged(GROUP, f'{ASK}; create config/b.json with "{{}}"')
    digest = await served.digest()
    listed = await served.says("lee", "/pick #1", GROUP)
    assert "config/b.json" in listed.text
    assert "config/app.yaml" in listed.text
    assert (await served.says("lee", "/pick #1 nowhere.txt", GROUP)).refused, "a slip supersedes nothing"
    assert (await served.clicks("lee", card, "Pick")).form == "pick", "by button the parts are listed and asked for"
    await served.until(lambda: any("config/b.json" in words for words in served.memory().words), "the parts")
    assert not (await served.clicks("lee", card, "Pick", "config/app.yaml")).refused
    await served.until(lambda: len(served.memory().cards) == 2, "a second card")
    second = await served.card(1, "staged")
    assert [row.path for row in second.shown.staged.files] == ["config/app.yaml"]
    assert await served.digest() != digest
    assert (await served.says("lee", f"/approve 1 {digest[:20]}", GROUP)).refused, "that was all of it"
    assert (await served.clicks("ana", second, "Approve")).refused, "it still is what ana asked for"
    picker = await served.clicks("lee", second, "Approve")
    assert picker.refused, "who picks is an author of what is left (guard 17)"
    assert "max" in picker.text
    assert not (await served.clicks("max", second, "Approve")).refused
    await served.card(1, "published")
    assert served.memory().messages[card.id].shown.superseded_note


async def test_guard_02_a_typed_approval_holds_only_where_its_diff_was_shown(served):
    """The group saw the diff; in their own chat lee saw nothing, and is told how to see it there."""
    await served.staged(GROUP)
    digest = await served.digest()
    short = await served.says("lee", f"/approve 1 {digest[:12]}", GROUP)
    assert short.refused
    assert "20 hex digits" in short.text
    unseen = await served.says("lee", f"/approve 1 {digest[:20]}", DM)
    assert unseen.refused
    assert "not shown here" in unseen.text
    assert "/show 1" in unseen.text
    await served.says("lee", "/show 1", DM)
    await served.until(lambda: [m for m in served.memory().cards if m.place == DM], "a card in lee's chat")
    await served.until_delivered(1, DM, digest)
    assert not (await served.says("lee", f"/approve 1 {digest[:20]}", DM)).refused
    assert [a.digest for a in (await served.app.documents.document(1)).approvals] == [digest]


async def test_a_request_that_is_made_again_and_again_is_an_ordinary_task(served):
    made = await served.says("ana", f'/every "hourly" {ASK}', GROUP)
    assert not made.refused, made
    listed = await served.says("ana", "/schedules", GROUP)
    assert "hourly" in listed.text
    (name,) = {word.strip(":.") for word in listed.text.split() if word.startswith("sch_")} or {None}
    assert name, listed
    assert (await served.says("bo", f"/unschedule {name}", GROUP)).refused, "it is ana's"
    await served.app.database.write(
        lambda tx: tx.session.execute(text("UPDATE schedules SET next_ms = 1000, missed = 'once'"))
    )
    await served.until(lambda: served.memory().cards, "the card of the request that was due", 60)
    await served.card(1, "staged")
    assert (await served.task()).requester == "ana"
    assert not (await served.says("ana", f"/unschedule {name}", GROUP)).refused


async def test_a_ticket_in_a_request_is_linked_on_its_card(home):
    introduce(home, more="tickets: {jira: {url: 'https://acme.example', projects: [WEB]}}")
    async with serve_home(home, {"telegram": MemorySurface("telegram")}) as served:
        card = await served.staged(GROUP, 'append "- done in WEB-12" to CHANGELOG.md')
        assert [(t.key, t.url) for t in card.shown.tickets] == [("WEB-12", "https://acme.example/browse/WEB-12")]


async def test_one_task_crosses_surfaces(served):
    room = Place("slack", "C1", "1.0")
    await served.staged(GROUP)
    digest = (await served.app.documents.document(1)).task.staged.digest
    await served.says("bo", "/reply 1 set server.host to b in config/app.yaml", room)
    await served.until(lambda: served.memory("slack").cards, "a card where the reply was")
    card = await served.card(1, "staged", "slack")
    assert card.card.revision == 2
    assert (await served.says("max", f"/approve 1 {digest[:20]}", GROUP)).refused, "that was revision 1"
    await served.clicks("max", card, "Approve")
    await served.card(1, "published", "slack")
    await served.card(1, "published", "telegram")
    document = await served.app.documents.document(1)
    assert [t.surface for t in document.turns] == ["telegram", "slack"]
    assert [a.surface for a in document.approvals] == ["slack"]


async def test_a_person_on_two_surfaces_counts_once(served):
    policy = served.home.root / "policy.yaml"
    policy.write_text(policy.read_text().replace("count: 1", "count: 2"))
    card = await served.staged(GROUP)
    await served.clicks("lee", card, "Approve")
    digest = (await served.app.documents.document(1)).task.staged.digest
    again = await served.says("lee", f"/approve 1 {digest[:20]}", Place("slack", "C1", None))
    assert again.refused
    assert (await served.app.documents.document(1)).task.state is State.STAGED
    await served.clicks("max", card, "Approve")
    await served.card(1, "published")


async def test_a_flood_from_one_person_is_answered_politely_and_others_go_on(served):
    answers = await asyncio.gather(*(served.says("ana", "/queue", DM) for _ in range(120)))
    refused = [a for a in answers if a.refused]
    assert refused
    assert "too fast" in refused[0].text
    assert not (await served.says("bo", "/queue", DM)).refused


# ---- faults


async def test_a_platform_that_is_slow_or_down_gets_everything_later_in_order(served):
    chat = served.memory()
    chat.faults = [TransientError("429", "slow down", retry_after_s=wait_s) for wait_s in (0.5, 0.01, 0.2, 0.05)]
    for n in range(6):
        await served.says("ana", f"/cancel {90 + n}", GROUP)
    await served.until(lambda: len(chat.words) == 6, "six answers")
    assert [re.findall(r"\b9\d\b", words)[0] for words in chat.words] == [f"{90 + n}" for n in range(6)]


async def test_an_answer_lost_after_the_card_was_posted_makes_one_more_card_and_still_one_decision(served):
    chat = served.memory()
    chat.deaf = [TransientError("timeout", "no answer", retry_after_s=0.1)]
    await served.says("ana", ASK, GROUP)
    await served.until(lambda: len(chat.cards) == 2, "the card again")
    card = await served.card(1, "staged")
    await served.clicks("lee", card, "Approve")
    await served.card(1, "published")
    assert len((await served.app.documents.document(1)).approvals) == 1


async def test_a_place_that_is_gone_is_given_up_and_the_task_goes_on(served):
    chat = served.memory()
    chat.faults = [PermanentError("place_gone", "the bot was kicked")]
    await served.says("ana", ASK, GROUP)

    async def staged() -> bool:
        return (await served.app.documents.document(1)).task.state is State.STAGED

    for _ in range(500):
        if await staged():
            break
        await asyncio.sleep(0.02)
    assert await staged()


async def test_what_was_heard_before_a_crash_is_accepted_after_it(home):
    introduce(home)
    chat = MemorySurface("telegram")
    heard = chat.writes(IDS["telegram"]["ana"], ASK, GROUP)
    async with opened(Home(home.root)) as app:
        assert (
            await DurableInbox(MessageInbox(app.database), app.conversations).accept(heard)
        ).is_new  # and then no one was left to hear it
    async with serve_home(home, {"telegram": chat}) as served:
        taken = await served.serving.inbox.accept(heard)
        assert not taken.is_new
        await served.until(lambda: chat.cards, "a card")
        await served.card(1, "staged")
        assert await served.app.database.read(inbox.waiting) == 0


async def test_a_surface_that_breaks_is_told_elsewhere_and_comes_back(home):
    introduce(home)
    broken = MemorySurface("slack", broken=PermanentError("token_revoked", "the token was revoked", "Make a new one."))
    chat = MemorySurface("telegram")
    async with serve_home(home, {"telegram": chat, "slack": broken}, rooms=[GROUP]) as served:
        await served.until(lambda: any("Slack cannot be reached" in w for w in chat.words), "the word")
        await served.staged(GROUP)
        broken.broken = None
        await served.until(lambda: broken.inbox is not None, "slack back", 20)
