"""Every page of the window is examined by axe-core: for each role, light and dark, on a desk and on a phone."""

from __future__ import annotations

import re
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from bot.configuration.home import Home
from bot.operations.first_run import make_first_home
from core.model.lifecycle import State
from core.model.role import Role
from core.model.turn import Actor
from core.services.insight import Insight
from core.services.requests import NewRequest
from core.services.schedules import WantedSchedule
from tests import campaign
from tests.axe import axe_core, serious_faults
from tests.e2e.test_window import photograph
from tests.homes import CliHome
from tests.integration.window.test_window_sessions import paths_of
from tests.integration.window.waiting import settled
from tests.memory import folder_in_memory
from tests.roles import PEOPLE, add_people
from tests.window import Window, chromium, open_window

pytestmark = [pytest.mark.window, pytest.mark.xdist_group("axe"), pytest.mark.asyncio(loop_scope="module")]

DESK, PHONE = {"width": 1280, "height": 900}, {"width": 375, "height": 812}
OPERATOR, ANA, VIEWER = "the operator", "ana", PEOPLE[Role.VIEWER]


class Look(NamedTuple):
    """Who looks at a page, and on what."""

    who: str
    size: dict[str, int]
    scheme: str


LOOKS = (Look(OPERATOR, DESK, "dark"), Look(ANA, PHONE, "dark"), Look(VIEWER, PHONE, "light"))
"""By turns, beside lee, whose pages have the most controls and are examined in both schemes."""

PAGES = {
    "/": "/",
    "/inbox": None,  # a part of the page above
    "/together": "/together?t=5&t=6&t=99",
    "/tasks": "/tasks?q=server",
    "/tasks/{number:int}": "/tasks/2",
    "/tasks/{number:int}/facts": None,  # a part of the page above
    "/tasks/{number:int}/context/{index:int}": None,  # rows for a table of the page above
    "/tasks/{number:int}/files/{index:int}": "/tasks/2/files/0?digest=DIGEST",
    "/tasks/{number:int}/files/{index:int}/{side}": None,  # the bytes of a file
    "/tasks/{number:int}/artifacts/{sha256}": None,  # the same
    "/tasks/{number:int}/comment": "/tasks/2/comment?file=0&at=n4&digest=DIGEST",
    "/tasks/{number:int}/work": "/tasks/3/work",
    "/tasks/{number:int}/work/now": None,  # a part of the page above
    "/tasks/{number:int}/transcripts/{sha256}": "/tasks/3/transcripts/SHA256",
    "/tasks/{number:int}/compare": "/tasks/2/compare",
    "/tasks/{number:int}/receipt": "/tasks/1/receipt",
    "/tasks/{number:int}/runs": "/tasks/2/runs",
    "/tasks/{number:int}/output": "/tasks/3/output",
    "/tasks/{number:int}/output/stream": None,  # a stream
    "/queue": "/queue",
    "/queue/jobs": None,  # a part of the page above
    "/queue/what-if": "/queue/what-if",
    "/endpoints": "/endpoints",
    "/insight": "/insight",
    "/policy": "/policy",
    "/lanes": "/lanes",
    "/lanes/{name}/file": None,  # a file to keep
    "/schedules": "/schedules",
    "/sessions": "/sessions",
    "/passkeys": "/passkeys",
    "/passkeys/{passkey}/public-key": None,  # a file to keep
    "/people": "/people",
    "/audit": "/audit",
    "/doctor": "/doctor",
    "/doctor/rows": None,  # a part of the page above
    "/authenticator": "/authenticator",
    "/step-up": "/step-up",
    "/sign-in": "/sign-in",
    "/sign-in/with/{provider}/callback": None,  # leads on, and shows a page only for a fault
    "/sign-in/{token}": None,  # examined without a session, below
    "/ask": "/ask",
    "/news": None,  # a stream
    "/static/{name:path}": None,
    "/first-steps": "/first-steps",
}
"""An address of every route that a browser shows; a route without one fails the test below."""
MORE = ("/tasks/1", "/tasks/2?view=split", "/tasks/4", "/tasks/4/work", "/tasks/77", "/nowhere")
"""A published task, a diff side by side, a request that was not understood, and pages that are not there."""


ASKS = (
    ("set server.timeout to 30 in config/app.yaml", None),
    ("set server.timeout to 40 in config/app.yaml", None),
    ("run it", "scripted"),
    ("make it nicer", None),
    ('add the line "- more" to README.md', None),
    ("set server.host to b in config/app.yaml", None),
)


@dataclass
class Examined:
    """A served home, and a browser that is signed in as several people."""

    window: Window
    pages: dict[str | None, Any]

    async def faults(self, who: str | None, path: str, size: dict[str, int], *schemes: str) -> list[str]:
        """The serious faults of a page as a person sees it."""
        page = self.pages[who]
        await page.set_viewport_size(size)
        await page.emulate_media(color_scheme=schemes[0])
        await page.goto(f"{self.window.origin}{path}")
        await photograph(page, f"axe-{who}-{size['width']}-{schemes[0]}{re.sub('[^a-z0-9]', '-', path)[:40]}")
        return [f"{who}, {size['width']} px, {fault}" for fault in await serious_faults(page, *schemes)]


def configure(home: CliHome) -> None:
    """People with other roles, a lane that runs a script, and a model server that is not there."""
    home.scripted("print('working'); open('src/x.txt','w').write('hi')")
    config = home.root / "countersign.yaml"
    text = config.read_text().replace("people:\n", "people:\n  ana: {roles: [member]}\n", 1)
    worker = "worker: {heartbeat_s: 0.5, lease_s: 5, poll_s: 0.1}"
    config.write_text(f"{text}\nmodels:\n  local: {{kind: ollama, url: 'http://127.0.0.1:9'}}\n{worker}\n")
    add_people(home)


async def fill(window: Window) -> None:
    """Tasks in several states, two revisions, a draft of a comment, a schedule and a pause."""
    app, ana, lee = window.served.app, Actor("ana", "web"), Actor("lee", "web")
    for text, lane in ASKS:
        await app.requests.ask(NewRequest(text=text, actor=ana, lane=lane))
    for number in (1, 2, 3, 5, 6):
        await settled(window, State.STAGED, number)
    await app.approvals.approve(1, await window.served.digest(1), lee)
    await app.requests.reply(2, "set server.timeout to 45 in config/app.yaml", ana)
    await settled(window, State.PUBLISHED, 1)
    await settled(window, State.STAGED, 2, revision=2)
    await settled(window, State.ASKING, 4)
    every = WantedSchedule(when="weekday 09:00", text="set server.timeout to 31 in config/app.yaml", actor=ana)
    await app.schedules.add(every)
    await app.queue_control.pause(lee, "a new disk")
    counting = Insight(app.database, app.settings, recount_ms=0)
    while await counting.count_next():
        pass


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def examined() -> AsyncIterator[Examined]:
    """The home is served and the browser started once for all pages."""
    axe_core()  # or skip
    with tempfile.TemporaryDirectory(prefix="countersign-", dir=folder_in_memory(256)) as folder:
        home = CliHome(Path(folder))
        await make_first_home(Home(home.root), "lee", "a browser")
        configure(home)
        async with open_window(home) as window, chromium() as first:
            await fill(window)
            pages: dict[str | None, Any] = {None: await (await first.context.browser.new_context()).new_page()}
            for who in ("lee", *(look.who for look in LOOKS)):
                page = await (await first.context.browser.new_context(service_workers="block")).new_page()
                await page.goto(f"{window.origin}/sign-in/{await window.link(None if who == OPERATOR else who)}")
                await page.locator("form[action='/sign-in'] button").click()
                await page.wait_for_url(f"{window.origin}/")
                pages[who] = page
            yield Examined(window, pages)


async def test_every_route_is_examined_or_shows_no_page(examined):
    shown = {path for method, path in paths_of(examined.window) if method == "GET"}
    assert shown == PAGES.keys()


@campaign.BY_TURNS("look")
@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.who)
@pytest.mark.parametrize("path", [*filter(None, PAGES.values()), *MORE])
async def test_axe_finds_no_serious_fault(examined, path, look):
    if "SHA256" in path:
        task = await examined.window.served.app.documents.document(3)
        path = path.replace("SHA256", next(each.sha256 for each in task.artifacts if each.name == "command.log"))
    path = path.replace("DIGEST", await examined.window.served.digest(2))
    faults = await examined.faults("lee", path, DESK if look.size is PHONE else PHONE, "light", "dark")
    faults += await examined.faults(look.who, path, look.size, look.scheme)
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("path", ["/", "/sign-in/no-such-token"])
async def test_axe_finds_no_serious_fault_before_people_have_signed_in(examined, path):
    faults = await examined.faults(None, path, PHONE, "light", "dark")
    assert not faults, "\n".join(faults)
