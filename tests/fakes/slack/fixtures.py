"""Fixtures: a Slack workspace to talk to, and to talk in.

In a test module (or a conftest)::

    from tests.fakes.slack.fixtures import slack, slack_program  # noqa: F401

    async def test_somebody_is_heard(slack):
        surface, inbox = SlackSurface(slack.config()), FakeInbox()
        async with running(surface, inbox):         # tests.fakes.slack.fixtures.running
            ts = await slack.mentions("bump x to 2")
            (message,) = await inbox.received()
            await surface.post(heard.place, drawn, heard.message_id)
            card = await slack.message(containing="#142")
            await slack.clicks(card, "Approve", user=LEE)

`slack` fails the test when a rule of Slack's was broken or a message would ping someone; tests about that say
`slack.expect("invalid_blocks")` or `slack.pings.clear()`. It fails by `slack.revoke(BOT_TOKEN)` and, for instance,
`slack.fail("chat.postMessage", "limit", retry_after_s=2)`. Names and ids: `tests.fakes.slack.program`. Signed HTTP:
`SlackSurface(slack.config_http()).routes(inbox)` and `tests.fakes.slack.signing.Signer`.

Forms are kept by the proxy, per person; the program has one for all. Slash commands, shortcuts and submitted forms are
envelopes made by the proxy, messages, clicks, the Home tab and files are the program's.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from bot.surfaces.port import Inbox, Surface
from tests.fakes.slack.people import Slack, slack_before
from tests.fakes.slack.program import program


@pytest.fixture(scope="session")
def slack_program() -> Iterator[str]:
    """The program that plays Slack, once for all tests of a process."""
    with program() as url:
        yield url


@pytest_asyncio.fixture
async def slack(slack_program: str) -> AsyncIterator[Slack]:
    """A fresh workspace, as strict as Slack."""
    async with slack_before(slack_program) as made:
        yield made


@contextlib.asynccontextmanager
async def running(surface: Surface, inbox: Inbox, slack: Slack | None = None) -> AsyncIterator[asyncio.Task[None]]:
    """Run a surface meanwhile; with `slack`, wait until its socket is open."""
    task = asyncio.create_task(surface.run(inbox))
    try:
        if slack is not None:
            await slack.until(lambda: slack.connected() or task.done())
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
