"""Clicks and forms on Slack, over the wire: kept before they are acknowledged, answered to their person alone."""

from __future__ import annotations

import asyncio

import pytest

from bot.surfaces.port import ButtonPress, Place, Response
from bot.surfaces.slack.api import SlackApi
from bot.surfaces.slack.members import SlackMembers
from bot.surfaces.slack.surface import SlackSurface
from core.model.errors import TransientError
from tests.fakes.inbox import FakeInbox
from tests.fakes.slack.fixtures import running
from tests.fakes.slack.people import words_of
from tests.fakes.slack.program import ANA, BOT_TOKEN, DEV, GONE, GUEST, KIM, LEE, STRANGER, TEAM
from tests.integration.slack.conftest import CHANNEL, drawn_by, staged_card

pytestmark = pytest.mark.surfaces


async def card_in(harness, place=CHANNEL, reply_to=None):
    await harness.surface.post(place, drawn_by(harness.surface), reply_to)
    return await harness.slack.message(place.channel, "#142")


def answers(**found):
    return lambda said: Response(**found) if isinstance(said, ButtonPress) and not said.text else Response("Thank you.")


async def test_a_click_carries_who_where_and_the_opaque_id(harness):
    root = await harness.slack.says("hello")
    card = await card_in(harness, Place("slack", DEV, root))
    await harness.slack.clicks(card, "Approve", LEE)
    (clicked,) = await harness.inbox.received()
    assert isinstance(clicked, ButtonPress)
    assert (clicked.identity, clicked.button) == (f"{TEAM}/{LEE}", "opaque-approve-0")
    assert (clicked.place, clicked.message_id) == (Place("slack", DEV, root), card["ts"])


async def test_the_answer_to_a_click_is_seen_by_its_person_alone(harness):
    harness.inbox.answers = answers(text="lee approved it a moment <!channel> before you.", refused=True)
    await harness.slack.clicks(await card_in(harness), "Approve", KIM)
    told = await harness.slack.message(containing="moment")
    assert told["ephemeral_to"] == KIM
    assert told["text"] == "lee approved it a moment &lt;!channel&gt; before you."


async def test_fifty_clicks_at_once_are_fifty_clicks_each_acknowledged(harness):
    card = await card_in(harness)
    people = [ANA, LEE, KIM]
    await asyncio.gather(*(harness.slack.clicks(card, "Approve", people[n % 3]) for n in range(50)))
    said = await harness.inbox.received(50)
    assert len({one.dedup for one in said}) == 50
    await harness.slack.until(lambda: len(harness.slack.ack_s) >= 50)
    assert max(harness.slack.ack_s) < 1


async def test_the_same_click_delivered_again_is_kept_and_answered_once(harness):
    harness.inbox.answers = answers(text="Approved.")
    await harness.slack.clicks(await card_in(harness), "Approve", LEE)
    envelope = next(found for found in harness.slack.delivered if found["type"] == "interactive")
    for retry in (1, 2):
        await harness.slack.acknowledged(await harness.slack.delivers_again(envelope, retry))
    await harness.slack.message(containing="Approved.")
    assert len(await harness.inbox.received()) == 1
    assert len(harness.slack.called("chat.postEphemeral")) == 1


async def test_a_click_that_cannot_be_kept_is_not_acknowledged(harness):
    card = await card_in(harness)
    harness.inbox.refuses = True
    pressing = asyncio.create_task(harness.slack.clicks(card, "Approve", LEE))
    await harness.slack.until(lambda: harness.inbox.deliveries)
    harness.inbox.refuses = False
    await harness.slack.clicks(card, "Reject", LEE)  # the person presses again, and that one arrives
    assert len(harness.slack.acks) == 1
    pressing.cancel()


async def test_a_click_of_a_stranger_of_slack_connect_does_nothing(harness):
    await harness.slack.clicks(await card_in(harness), "Approve", STRANGER)
    assert not harness.inbox.messages


@pytest.mark.parametrize("user", [GUEST, GONE])
async def test_clicks_of_guests_and_the_deactivated_are_not_admitted(harness, user):
    await harness.slack.clicks(await card_in(harness), "Approve", user)
    (clicked,) = await harness.inbox.received()
    assert "Only full members" in (await harness.surface.check_access(clicked) or "")


async def test_a_member_who_was_let_go_has_no_say_once_the_last_answer_is_old(slack):
    api, lee = SlackApi(BOT_TOKEN, slack.url), f"{TEAM}/{LEE}"
    old, fresh = SlackMembers(api, TEAM, cache_s=60), SlackMembers(api, TEAM, cache_s=0)
    assert await old.is_full_member(lee)
    assert await fresh.is_full_member(lee)
    slack.outsiders[LEE] = {"deleted": True}
    assert await old.is_full_member(lee)
    assert not await fresh.is_full_member(lee)
    assert len(slack.called("users.info")) == 3


async def test_an_organisations_person_is_a_member_where_slack_lists_our_team(slack):
    members = SlackMembers(SlackApi(BOT_TOKEN, slack.url), TEAM, cache_s=0)
    for teams, ours in (([TEAM], True), (["T0THEIRS"], False)):
        slack.outsiders[LEE] = {"team_id": "E0ORG", "enterprise_user": {"teams": teams}}
        assert await members.is_full_member(f"{TEAM}/{LEE}") is ours


async def test_nobody_is_a_member_while_slack_does_not_tell(slack):
    slack.fail("users.info", "drop")
    with pytest.raises(TransientError):
        await SlackMembers(SlackApi(BOT_TOKEN, slack.url), TEAM).is_full_member(f"{TEAM}/{LEE}")


@pytest.mark.parametrize("identity", ["", "U0ANA", "T0THEIRS/U0ANA", f"{TEAM}/", f"{TEAM}/U0NOBODY", "/U0ANA"])
async def test_no_other_identity_is_a_member(slack, identity):
    assert not await SlackMembers(SlackApi(BOT_TOKEN, slack.url), TEAM).is_full_member(identity)


@pytest.mark.parametrize(("kind", "label"), [("reject", "Reject"), ("reply", "Reply")])
async def test_a_button_that_wants_words_opens_a_form_and_comes_back_with_them(harness, kind, label):
    harness.inbox.answers = answers(form=kind)
    root = await harness.slack.says("hello")
    card = await card_in(harness, Place("slack", DEV, root))
    await harness.slack.clicks(card, label, LEE)
    form = await harness.slack.form(LEE)
    assert form["title"]["text"] == label
    assert await harness.slack.submits(" \n ", LEE) is not None
    assert await harness.slack.submits("say pipx & <why> not", LEE) is None
    bare, clicked = await harness.inbox.received(2)
    assert (clicked.button, clicked.text) == (bare.button, "say pipx & <why> not")
    assert (clicked.identity, clicked.place, clicked.message_id) == (bare.identity, bare.place, bare.message_id)
    assert clicked.dedup != bare.dedup
    assert (await harness.slack.message(containing="Thank you."))["ephemeral_to"] == LEE


async def test_a_form_that_could_not_be_kept_stays_open_and_is_kept_once_at_the_second_try(harness):
    harness.inbox.answers = answers(form="reject")
    await harness.slack.clicks(await card_in(harness), "Reject", LEE)
    form = await harness.slack.form(LEE)
    harness.inbox.refuses = True
    trying = asyncio.create_task(harness.slack.submits("not yet", LEE, form))
    await harness.slack.until(lambda: harness.inbox.deliveries == 2)
    harness.inbox.refuses = False
    await harness.slack.submits("not yet", LEE, form)
    assert [said.text for said in harness.inbox.messages] == ["", "not yet"]
    trying.cancel()


async def test_a_form_that_slack_no_longer_opens_is_said_so(harness):
    harness.inbox.answers = answers(form="reject")
    harness.slack.fail("views.open", "expired_trigger_id")
    await harness.slack.clicks(await card_in(harness), "Reject", LEE)
    assert (await harness.slack.message(containing="Press the button again"))["ephemeral_to"] == LEE


async def test_a_form_of_a_place_where_nobody_listens_any_more_is_closed_and_forgotten(harness):
    harness.inbox.answers = answers(form="reject")
    await harness.slack.clicks(await card_in(harness), "Reject", LEE)
    form = await harness.slack.form(LEE)
    for kept in ('{"button": "x", "place": {"channel": "C0OTHER"}}', "{", "[]", "", '{"place": 1}'):
        assert await harness.slack.submits("words", LEE, {**form, "private_metadata": kept}) is None
    assert len(harness.inbox.messages) == 1


async def test_the_home_tab_lists_what_waits_and_a_stranger_sees_nothing(slack):
    asked = []

    async def waiting(identity):
        asked.append(identity)
        return [staged_card(title="Fix <!channel> steps")]

    async with running(SlackSurface(slack.config(), waiting), FakeInbox(), slack):
        await slack.opens_home(LEE)
        (home,) = await slack.until(lambda: slack.called("views.publish"))
        assert home["user_id"] == LEE
        assert "#142 docs · Fix <!channel> steps" in words_of(home)
        await slack.opens_home(GUEST)
        (empty,) = await slack.until(lambda: slack.called("views.publish")[1:])
        assert "#142" not in words_of(empty)
        assert asked == [f"{TEAM}/{LEE}"]
