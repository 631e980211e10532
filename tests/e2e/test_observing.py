"""Observing in a real browser: a task's work while it runs, the queue by keys, all pages on a phone without scripts."""

from __future__ import annotations

import asyncio

import pytest

from tests.e2e.test_window import DESK, PHONE, photograph
from tests.window import chromium, open_window

pytestmark = [pytest.mark.window, pytest.mark.xdist_group("window")]
PAGES = (
    *("/tasks/1/work", "/tasks/1/compare", "/tasks/1/runs", "/tasks/1/output"),
    *("/queue", "/queue/what-if", "/endpoints", "/insight", "/policy", "/schedules"),
)


async def sign_in(page, window, person: str) -> None:
    """Sign in by a link."""
    await page.goto(f"{window.origin}/sign-in/{await window.link(person)}")
    await page.locator("form[action='/sign-in'] button").click()
    await page.wait_for_url(f"{window.origin}/")


async def test_a_job_is_moved_by_keys_and_the_work_of_a_task_is_followed(home_staged):
    await asyncio.to_thread(home_staged.call, "pause", "--reason", "new disk")
    for n in range(3):
        await asyncio.to_thread(home_staged.document, "ask", f'append "row {n}" to README.md', "--as", "ana")
    async with open_window(home_staged) as window, chromium(**DESK) as page:
        await sign_in(page, window, "lee")
        await page.goto(f"{window.origin}/queue")
        await photograph(page, "queue")
        await page.keyboard.press("j")
        assert await page.evaluate("document.activeElement.id") == "job-2"
        await page.keyboard.press("J")
        await page.wait_for_url("**/queue#job-2")
        await page.wait_for_function("document.activeElement.id === 'job-2'")
        assert await page.evaluate("Array.from(document.querySelectorAll('.line a')).map(a => a.id)") == [
            *("job-3", "job-2", "job-4")
        ]
        await page.goto(f"{window.origin}/tasks/2/work")
        assert "plan" in await page.inner_text(".jobs")
        await page.goto(f"{window.origin}/queue")
        await page.click("text=Resume the queue")
        await page.goto(f"{window.origin}/tasks/2/work")
        await page.wait_for_selector("text=staged, revision 1", timeout=60_000)  # by the stream of news
        await page.wait_for_selector(".jobs svg rect.ph-works")
        await photograph(page, "work")


async def test_a_phone_shows_every_page_of_observing_without_scripts_and_without_sideways_scrolling(home_staged):
    async with open_window(home_staged) as window, chromium(**PHONE, java_script_enabled=False) as page:
        await sign_in(page, window, "lee")
        for path in PAGES:
            answer = await page.goto(f"{window.origin}{path}")
            assert answer.status == 200, path
            wide = await page.locator("body").evaluate("document.documentElement.scrollWidth")
            assert wide <= 390, path
            await photograph(page, f"phone{path.replace('/', '-')}")
