"""The whole path in a real browser, on a desk and a phone: a link, the inbox, the diff, an approval, a pull request."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.model.lifecycle import State
from tests.window import chromium, open_window

pytestmark = [pytest.mark.window, pytest.mark.xdist_group("window")]

DESK = {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"}
PHONE = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "has_touch": True, "is_mobile": True}
PAGES = ("/", "/tasks", "/tasks/1", "/tasks/1?view=split", "/tasks/1?pick=1", "/queue", "/endpoints", "/sessions")


async def photograph(page, name: str) -> None:
    """Keep a screenshot where COUNTERSIGN_TEST_SHOTS says, for people to look at."""
    if folder := os.environ.get("COUNTERSIGN_TEST_SHOTS"):
        await page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


async def test_from_the_link_to_the_pull_request_in_a_browser(home_staged):
    async with open_window(home_staged) as window, chromium(**DESK) as page:
        await page.goto(f"{window.origin}/sign-in/{await window.link('lee')}")
        await photograph(page, "sign-in")
        await page.click("text=Sign in >> nth=-1")
        await page.wait_for_selector("article.card")
        assert "waits for your approval" in await page.inner_text("main")
        await page.click("text=Review")
        await page.wait_for_selector("tr.add")
        assert await page.inner_text("tr.add td.t") == "  timeout: 30   # seconds"
        await photograph(page, "task")
        await page.keyboard.press("r")
        assert await page.evaluate("document.activeElement.id") == "reason"
        await page.evaluate("document.activeElement.blur()")
        await page.keyboard.press("j")
        assert await page.evaluate("document.activeElement.id") == "f0"
        await page.keyboard.press("a")
        assert await page.evaluate("document.activeElement.id") == "approve"
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/tasks/1")
        await page.wait_for_selector("text=Pull request #", timeout=60_000)  # by the stream of news, without a reload
        assert "approved by lee on web" in await page.inner_text("#facts")
        assert (await window.served.task()).state is State.PUBLISHED
        await photograph(page, "published")


async def test_a_phone_shows_every_page_without_sideways_scrolling_and_decides_without_scripts(home_staged):
    async with open_window(home_staged) as window, chromium(**PHONE, java_script_enabled=False) as page:
        await page.goto(f"{window.origin}/sign-in/{await window.link('lee')}")
        await page.locator("form[action='/sign-in'] button").click()
        await page.wait_for_url(f"{window.origin}/")
        for path in PAGES:
            await page.goto(f"{window.origin}{path}")
            wide = await page.locator("body").evaluate("document.documentElement.scrollWidth")
            assert wide <= 390, path
            await photograph(page, f"phone{path.replace('/', '-').replace('?', '-')}")
        await page.goto(f"{window.origin}/tasks/1")
        await page.locator("#approve").click()
        await page.wait_for_url("**/tasks/1")
        await page.wait_for_selector("text=approved by lee on web")
        assert (await window.served.task()).state in (State.APPROVED, State.PUBLISHED)
