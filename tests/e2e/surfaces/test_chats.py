"""Through the wire of each chat, to GitHub and back: asked, approved by button, followed, revised, merged on green."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from bot.surfaces.port import TelegramConfig
from bot.surfaces.slack.surface import SlackSurface
from bot.surfaces.telegram.pace import PaceLimits
from bot.surfaces.telegram.surface import TelegramSurface
from core.model.errors import NotFoundError
from core.model.lifecycle import State
from tests.e2e.surfaces.conftest import served
from tests.e2e.surfaces.hub import REPO, allow_merging, approved_tree, status, tree_of
from tests.fakes.github import FakeGitHub
from tests.fakes.slack.people import Slack
from tests.fakes.slack.program import ANA, LEE, TEAM
from tests.fakes.telegram import FakeTelegram, Shown
from tests.homes import CliHome
from tests.served_home import ASK, ServedHome

pytestmark = pytest.mark.surfaces

QUICK = PaceLimits(chat=(1000, 1.0), group=(10_000, 60.0), overall=(10_000, 1.0), patience_s=20.0)
MORE = "set server.host to b in config/app.yaml"


class OnTelegram:
    """Ana and Lee in a Telegram group with the bot."""

    name = "telegram"

    def __init__(self, telegram: FakeTelegram) -> None:
        self.telegram = telegram
        self.ana, self.lee = telegram.person("Ana"), telegram.person("Lee")
        self.team = telegram.group("Team", topics={7: "docs"})

    def surface(self, home: CliHome) -> TelegramSurface:
        know(home, telegram={"ana": str(self.ana.id), "lee": str(self.lee.id)})
        config = TelegramConfig(self.telegram.token, {str(self.team.id): ("web",)}, base_url=self.telegram.base_url)
        return TelegramSurface(config, limits=QUICK, wait_s=5.0, poll_s=5)

    async def asks(self, text: str) -> None:
        self.ana.says(self.team, f"@ourbot {text}", thread=7)

    async def card(self, state: str) -> Shown:
        def found() -> Shown | None:
            shown = [m for m in self.team.by_bot() if m.buttons or "pull request" in m.text]
            return shown[-1] if shown and state in shown[-1].text and shown[-1].thread == 7 else None

        card: Shown = await self.telegram.until(found, 30)
        return card

    async def approves(self) -> str:
        card = await self.telegram.until(self._with_approve, 30)
        (click,) = self.lee.clicks(card, "Approve")
        return str((await click.answered())["text"])

    def _with_approve(self) -> Shown | None:
        shown = [m for m in self.team.by_bot() if any("Approve" in b.label for b in m.buttons)]
        return shown[-1] if shown else None

    async def shows(self, words: str) -> None:
        await self.telegram.until(lambda: any(words in m.text for m in self.team.by_bot()), 30)


class OnSlack:
    """Ana and Lee in a Slack channel with the bot."""

    name = "slack"

    def __init__(self, slack: Slack) -> None:
        self.slack = slack

    def surface(self, home: CliHome) -> SlackSurface:
        know(home, slack={"ana": f"{TEAM}/{ANA}", "lee": f"{TEAM}/{LEE}"})
        return SlackSurface(self.slack.config())

    async def asks(self, text: str) -> None:
        await self.slack.until(self.slack.connected)
        await self.slack.mentions(text)

    async def approves(self) -> str:
        async with asyncio.timeout(90):
            while True:
                for message in reversed(await self.slack.messages()):
                    if "Approve" in str(message.get("blocks")) and "actions" in str(message.get("blocks")):
                        await self.slack.clicks(message, "Approve", user=LEE)
                        return ""
                await asyncio.sleep(0.05)

    async def shows(self, words: str) -> None:
        await self.slack.message(containing=words, within_s=60)


def know(home: CliHome, **surfaces: dict[str, str]) -> None:
    """Write these people's identities into the home."""
    config = home.root / "countersign.yaml"
    text = config.read_text()
    for surface, ids in surfaces.items():
        for person, identity in ids.items():
            (line,) = [line for line in text.splitlines() if line.startswith(f"  {person}:")]
            old = line.split(f'{surface}: "', 1)[1].split('"', 1)[0]
            text = text.replace(line, line.replace(f'{surface}: "{old}"', f'{surface}: "{identity}"'))
    config.write_text(text)


@pytest.fixture(params=["telegram", "slack"])
def chat(request: pytest.FixtureRequest) -> Any:
    """Each chat in turn."""
    made = request.getfixturevalue(request.param)
    return OnTelegram(made) if request.param == "telegram" else OnSlack(made)


async def comes_to(place: ServedHome, state: State, revision: int = 1) -> None:
    """Wait until the task is there."""
    async with asyncio.timeout(90):
        while True:
            with suppress(NotFoundError):  # not asked for yet
                task = await place.task()
                if (task.state, task.revision) == (state, revision):
                    return
            await asyncio.sleep(0.05)


async def test_asked_in_chat_approved_by_button_revised_by_comment_merged_on_green(
    chat: Any, hub: CliHome, github: FakeGitHub
) -> None:
    allow_merging(hub)
    async with served(hub, github, **{chat.name: chat.surface(hub)}) as place:
        await chat.asks(ASK)
        await chat.approves()
        await comes_to(place, State.PUBLISHED)
        first = github.pull(REPO, 1).sha
        assert tree_of(github, first) == await approved_tree(place)

        github.comment(REPO, 1, "bo", f"/reply {MORE}")
        await comes_to(place, State.STAGED, 2)
        await chat.shows("superseded by #1.2")
        await approve_again(chat, place)
        await comes_to(place, State.PUBLISHED, 2)
        second = github.pull(REPO, 1).sha
        assert second != first
        assert tree_of(github, second) == await approved_tree(place)

        await place.until(lambda: status(github, second) == "success", "the green status")
        github.set_check(REPO, second, "test", 15368, "success")
        await comes_to(place, State.MERGED, 2)
        await chat.shows("merged")


async def approve_again(chat: Any, place: ServedHome) -> None:
    """Press Approve on the newest card until it is the one of revision 2."""
    async with asyncio.timeout(90):
        while (await place.task()).state is State.STAGED:
            await chat.approves()
            await asyncio.sleep(0.2)


async def test_one_task_asked_in_slack_approved_in_telegram_commented_on_github(
    slack: Slack, telegram: FakeTelegram, hub: CliHome, github: FakeGitHub
) -> None:
    on_slack, on_telegram = OnSlack(slack), OnTelegram(telegram)
    async with served(hub, github, slack=on_slack.surface(hub), telegram=on_telegram.surface(hub)) as place:
        await on_slack.asks(ASK)
        await comes_to(place, State.STAGED)
        on_telegram.lee.says(on_telegram.team, "/show 1", thread=7)
        said = await on_telegram.approves()
        assert "countersigned" in said
        await comes_to(place, State.PUBLISHED)
        assert tree_of(github, github.pull(REPO, 1).sha) == await approved_tree(place)
        await on_slack.shows("published")

        github.comment(REPO, 1, "bo", f"/reply {MORE}")
        await comes_to(place, State.STAGED, 2)
        document = await place.app.documents.document(1)
        assert [(t.person, t.surface) for t in document.turns] == [("ana", "slack"), ("bo", "github")]
        assert [(a.person, a.surface) for a in document.approvals] == [("lee", "telegram")]


async def test_fifty_presses_on_telegram_are_one_approval_and_the_wire_breaks_no_rule(
    telegram: FakeTelegram, hub: CliHome, github: FakeGitHub
) -> None:
    chat = OnTelegram(telegram)
    async with served(hub, github, telegram=chat.surface(hub)) as place:
        await chat.asks(ASK)
        card = await telegram.until(chat._with_approve, 30)
        clicks = chat.lee.clicks(card, "Approve", times=50)
        answers = await asyncio.gather(*(click.answered() for click in clicks))
        assert len(answers) == 50
        await comes_to(place, State.PUBLISHED)
        assert len((await place.app.documents.document(1)).approvals) == 1


async def test_reject_on_slack_asks_for_a_reason_in_a_form(slack: Slack, hub: CliHome, github: FakeGitHub) -> None:
    chat = OnSlack(slack)
    async with served(hub, github, slack=chat.surface(hub)) as place:
        await chat.asks(ASK)
        await comes_to(place, State.STAGED)
        async with asyncio.timeout(60):
            while "Reject" not in str(message := await slack.message(containing="#1")):  # noqa: ASYNC110 - polls Slack
                await asyncio.sleep(0.05)
        await slack.clicks(message, "Reject", user=LEE)
        await slack.submits("not today", user=LEE)
        await comes_to(place, State.REJECTED)
        error = (await place.task()).error
        assert error is not None
        assert "not today" in error.message
