"""Comments, approvals in one sitting, moved lines and keys in a real browser: a desk, a phone, and without scripts."""

from __future__ import annotations

import asyncio

import pytest

from core.model.lifecycle import State
from tests.e2e.test_window import DESK, PHONE, photograph
from tests.integration.window.waiting import settled
from tests.window import chromium, open_window

pytestmark = [pytest.mark.window, pytest.mark.xdist_group("window")]

DARK = {**DESK, "color_scheme": "dark"}
WORDS = ("--lane", "scripted", "--repo", "web", "--as", "ana", "--wait")
BLOCK = "".join(f"    step_{n} = compute(value_{n})\n" for n in range(6))
REST = "".join(f"    other_{n}()\n" for n in range(14))
MOVES = f"open('src/long.py','w').write('''def first():\n{REST}{BLOCK}''');open('src/a.py','w').write('print(2)\\n')"
ASKS = ("set server.timeout to 41 in config/app.yaml", 'add the line "- more" to CHANGELOG.md')


async def sign_in(window, page, person: str) -> None:
    await page.goto(f"{window.origin}/sign-in/{await window.link(person)}")
    await page.locator("form[action='/sign-in'] button").click()
    await page.wait_for_url(f"{window.origin}/")


@pytest.fixture
async def window(home):
    """A served home with a change that moves a block, and two of low risk."""
    home.commit({"src/long.py": f"def first():\n{BLOCK}{REST}"})
    home.scripted(MOVES)
    said = await asyncio.to_thread(home.document, "ask", "move the steps to the end", *WORDS)
    assert said["state"] == "staged", said["error"]
    for ask in ASKS:
        await asyncio.to_thread(home.staged, ask)
    async with open_window(home) as opened:
        yield opened


async def test_comments_are_written_by_keys_and_sent_and_moved_lines_are_marked(window):
    async with chromium(**DESK) as page:
        await sign_in(window, page, "ana")
        await page.goto(f"{window.origin}/tasks/1")
        assert "moved to src/long.py:" in await page.inner_text("tr.movednote >> nth=0")
        assert await page.locator("tr.moved").count() == 12
        await photograph(page, "moved")
        await page.keyboard.press("n")
        await page.keyboard.press("c")
        await page.wait_for_selector("tr.writing textarea")
        assert await page.evaluate("document.activeElement.name") == "text"
        await page.keyboard.type("Why is this 2?")
        await photograph(page, "comment-writing")
        await page.keyboard.press("Control+Enter")
        await page.wait_for_selector("tr.comment >> text=Why is this 2?")
        await page.locator("tr.moved .n a").last.click()
        await page.wait_for_selector("tr.writing textarea")
        await page.keyboard.type("Leave them where they were,\nplease.")
        await page.keyboard.press("Control+Enter")
        await page.wait_for_selector("tr.comment >> text=Leave them")
        assert (await page.inner_text("#comments")).count("src/") == 2
        await photograph(page, "comments")
        await page.click("text=Send 2 comments as one reply")
        await settled(window, State.STAGED, 1, revision=2)
        turn = (await window.served.app.documents.document(1)).turns[-1]
        assert "> print(1)" in turn.text or "> print(2)" in turn.text
        assert turn.text.count("\n> ") == 2


async def test_low_risk_tasks_are_ticked_and_approved_by_keys_in_the_dark(window):
    async with chromium(**DARK) as page:
        await sign_in(window, page, "lee")
        await photograph(page, "inbox-ticks")
        ticks = page.locator("input[name=t]")
        assert await ticks.count() == 3
        await page.keyboard.press("j")  # the first one, which waits the longest, stays unticked
        for _ in ASKS:
            await page.keyboard.press("j")
            await page.keyboard.press("x")
        assert await page.locator("input[name=t]:checked").count() == 2
        await page.keyboard.press("a")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("article.together")
        assert await page.locator("article.together").count() == 2
        assert (await window.served.task(2)).state is State.STAGED, "nothing is approved before the confirmation"
        await photograph(page, "together")
        await page.keyboard.press("a")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("text=2 of 2 approved")
        await photograph(page, "together-done")
        for number in (2, 3):
            await settled(window, State.PUBLISHED, number)
        await page.goto(f"{window.origin}/tasks/2")
        await page.keyboard.press("?")
        assert await page.evaluate("document.activeElement.id") == "keys"
        await photograph(page, "published-steps")
        await page.goto(f"{window.origin}/tasks/1")
        await page.keyboard.press("r")
        await page.keyboard.type("The block was better where it was")
        await photograph(page, "reject-dark")
        await page.keyboard.press("Control+Enter")
        await page.wait_for_selector("text=rejected by lee on web")


async def test_a_phone_without_scripts_comments_approves_together_and_asks(window):
    async with chromium(**PHONE, java_script_enabled=False) as page:
        await sign_in(window, page, "lee")
        for path in ("/", "/ask", "/tasks/1", "/tasks/1?view=split", "/together?t=2&t=3"):
            await page.goto(f"{window.origin}{path}")
            wide = await page.locator("body").evaluate("document.documentElement.scrollWidth")
            name = path.replace("/", "-").replace("?", "-").replace("&", "-")
            await photograph(page, f"phone-approving{name}")
            assert wide <= 390, path
        await page.goto(f"{window.origin}/tasks/1")
        await page.locator("tr.add .n a").first.click()
        await page.wait_for_url("**/comment?**")
        await photograph(page, "phone-comment")
        await page.fill("textarea", "Say why.")
        await page.click("text=Keep the comment")
        await page.wait_for_selector("tr.comment >> text=Say why.")
        await page.click("text=Discard it")
        await page.wait_for_url("**/tasks/1#comments")
        assert await page.locator("tr.comment").count() == 0
        await page.goto(f"{window.origin}/")
        for number in (2, 3):
            await page.check(f"#tick-{number}")
        await page.click("text=Review what is ticked")
        await page.click("text=Approve what is ticked >> nth=-1")
        await page.wait_for_selector("text=2 of 2 approved")
        await page.goto(f"{window.origin}/ask")
        await page.fill("textarea", "set server.host to z in config/app.yaml")
        await page.click("text=Ask for it")
        await page.wait_for_url("**/tasks/4")
