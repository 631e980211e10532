"""From an empty folder to the first approved change, by what the pages say: on a desk, and a phone without scripts."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.axe import serious_faults
from tests.e2e.test_window import DESK, PHONE, photograph
from tests.homes import CliHome
from tests.window import chromium

pytestmark = [pytest.mark.window, pytest.mark.xdist_group("window")]

WITHIN_MS = 60_000
REPLACE_TEXT = """([old, shown]) => {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) texts.currentNode.data = texts.currentNode.data.replaceAll(old, shown);
}"""
NEXT = ("Add your repository", "Add a second person", "Add a chat", "countersign doctor")


@asynccontextmanager
async def first_run(folder: Path) -> AsyncIterator[tuple[CliHome, str]]:
    """`serve` in a folder that is not there yet, and the link that it prints."""
    home = CliHome(folder)
    server = home.start("serve", "--port", "0", stderr=subprocess.DEVNULL)
    try:
        assert server.stdout is not None
        async with asyncio.timeout(60):
            link = (await asyncio.to_thread(server.stdout.readline)).decode().strip()
        yield home, link
    finally:
        server.terminate()
        await asyncio.to_thread(server.wait, 60)


async def photograph_at_srv(page, home: CliHome, name: str) -> None:
    """Keep a screenshot for the documentation, in which the home is where people put it."""
    await page.evaluate(REPLACE_TEXT, [str(home.root), "/srv/countersign"])
    await photograph(page, name)


async def wait_for(page, text: str) -> None:
    await page.locator("main").get_by_text(text).first.wait_for(timeout=WITHIN_MS)


@pytest.mark.parametrize(
    ("name", "options"),
    [("desk", DESK), ("phone", {**PHONE, "java_script_enabled": False})],
    ids=["desk", "phone-without-scripts"],
)
async def test_an_empty_folder_becomes_an_approved_change_without_reading_anything(folder, name, options):
    async with first_run(folder) as (home, link), chromium(**options) as page:
        await page.goto(link)
        await photograph(page, f"setup-{name}")
        if name == "desk":
            assert await serious_faults(page, "light", "dark") == []
        await page.fill("#name", "lee")
        await page.locator("main form button").click()
        await page.wait_for_url("**/first-steps", timeout=WITHIN_MS)
        await photograph_at_srv(page, home, f"first-steps-{name}")
        assert await page.input_value("#text") == "set server.timeout to 30 in config/app.yaml"
        await page.locator("form[action='/first-steps/ask'] button").click()
        await wait_for(page, "The change is ready")  # the page looks again by itself
        await photograph_at_srv(page, home, f"first-diff-ready-{name}")
        wide = await page.locator("body").evaluate("document.documentElement.scrollWidth")
        assert wide <= options["viewport"]["width"]
        await page.get_by_text("Read the diff of #1").click()
        assert await page.locator("tr.add td.t").inner_text() == "  timeout: 30   # seconds"
        await page.locator("#approve").click()
        await wait_for(page, "approved by lee on web")
        await page.locator("nav").get_by_text("First steps").click()
        await wait_for(page, "with exactly the bytes you approved")
        await photograph_at_srv(page, home, f"first-pull-request-{name}")
        said = await page.locator("main").inner_text()
        assert "Pull request 1 is open" in said
        assert not [each for each in NEXT if each not in said]
        verified = await asyncio.to_thread(home.run, "verify", "1")
        assert verified.code == 0, verified


async def test_a_home_that_was_set_up_is_served_again_and_signed_in_to_as_any_other(folder):
    async with first_run(folder) as (home, link), chromium(**DESK) as page:
        await page.goto(link)
        await page.fill("#name", "lee")
        await page.locator("main form button").click()
        await page.wait_for_url("**/first-steps", timeout=WITHIN_MS)
    assert (await asyncio.to_thread(home.run, "policy", "check")).code == 0
    assert (await asyncio.to_thread(home.run, "sign-in", "--as", "lee")).out.startswith(
        "http://127.0.0.1:8700/sign-in/"
    )
