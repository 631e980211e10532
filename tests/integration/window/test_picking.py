"""Files and hunks are ticked in the diff viewer, and what is left is a new revision; without JavaScript."""

from __future__ import annotations

import asyncio
import re
from html import unescape

import pytest

from core.model.lifecycle import State
from tests.window import chromium, open_window

pytestmark = [pytest.mark.window, pytest.mark.xdist_group("window")]

WORDS = ("--lane", "scripted", "--repo", "web", "--as", "ana", "--wait")
CODE = """
import os
lines = open('src/a.py').read().split('\\n')
lines[3], lines[30] = 'first = 1', 'second = 2'
open('src/a.py', 'w').write('\\n'.join(lines))
os.rename('src/old.py', 'src/new.py')
open('src/n.txt', 'wb').write(b'odd \\xff\\r\\nno end')
"""
LINES = "\n".join(f"x{n} = {n}" for n in range(40))
PICK = "/tasks/1/pick"
BOX = re.compile(r'<input type="?checkbox"? form="?pick"? name="?part"? value="([^"]+)"\s+aria-label="([^"]+)"')


@pytest.fixture
async def window(home):
    """A served home in which #1 changes two hunks of a file, renames one and adds one."""
    home.commit({"src/a.py": LINES, "src/old.py": "kept = True\n" * 20})
    home.scripted(CODE, write='["**"]')
    lane = home.root / "lanes" / "scripted.yaml"
    lane.write_text(lane.read_text() + "binaries: true\nodd_names: true\n")
    said = await asyncio.to_thread(home.document, "ask", "split the numbers", *WORDS)
    assert said["state"] == "staged", said["error"]
    async with open_window(home) as opened:
        yield opened


async def ticks_of(visit) -> dict[str, str]:
    """The checkboxes of the open page, by what they say."""
    page = (await visit.get("/tasks/1?pick=1")).text
    return {unescape(label): value for value, label in BOX.findall(page)}


async def staged(window, revision: int):
    """The document once a revision is staged."""
    for _ in range(2_000):
        task = await window.served.task()
        if task.revision == revision and task.state is State.STAGED:
            return await window.served.app.documents.document(1)
        await asyncio.sleep(0.03)
    raise AssertionError("it was never staged")


async def test_ticked_hunks_and_files_are_kept_and_someone_else_approves_them(window):
    lee, max_ = await window.signed_in("lee"), await window.signed_in("max")
    assert "pick=1" in (await lee.get("/tasks/1")).text
    ticks = await ticks_of(lee)
    assert set(ticks) == {
        "src/a.py: the whole file",
        "src/a.py: lines 1-7",
        "src/a.py: lines 28-34",
        "src/n.txt: the whole file",
        "src/new.py: the whole file",
    }
    form, before = dict(lee.forms[PICK]), await window.served.digest()
    ticked = [ticks["src/a.py: lines 28-34"], ticks["src/new.py: the whole file"]]
    for wrong, status in (
        ({**form, "do": "keep"}, 400),
        ({**form, "do": "keep", "part": "0" * 20}, 404),
        ({**form, "do": "keep", "part": ticked, "digest": "0" * 64}, 409),
        ({**form, "do": "leave", "part": list(ticks.values())}, 400),
        ({**form, "do": "keep", "part": ticked, "csrf": "x"}, 403),
    ):
        assert (await lee.post(PICK, wrong)).status_code == status
    assert (await window.served.task()).revision == 1
    for _ in range(2):  # sent twice, it counts once
        assert (await lee.post(PICK, {**form, "do": "keep", "part": ticked})).status_code == 303
    document = await staged(window, 2)
    assert [file["path"] for file in document.task.staged.files] == ["src/a.py", "src/new.py", "src/old.py"]
    assert document.task.staged.digest != before
    (part,) = document.task.current.basis.picked
    assert (part.person, part.revision, part.digest, part.kept, part.total) == ("lee", 1, before, 3, 5)
    content = await window.served.app.diffs.content(document.task)
    changed = next(file for file in content.change.files if file.path == b"src/a.py")
    assert await content.blob(changed.new_blob) == LINES.replace("x30 = 30", "second = 2").encode()
    page = (await lee.get("/tasks/1")).text
    assert "3 of 5 parts of revision 1, chosen by lee" in page
    assert "<b>lee</b> kept 3 of 5 parts of revision 1, which began revision 2" in page
    assert "lee is one of its authors" in page
    assert "/tasks/1/approve" not in lee.forms
    await max_.get("/tasks/1")
    assert (await max_.submit("/tasks/1/approve")).status_code == 303


async def test_what_is_ticked_is_left_out_and_a_requester_is_told_who_approves(window):
    ana = await window.signed_in("ana")
    ticks = await ticks_of(ana)
    assert "approved anew by lee or max." in re.sub(r"\s+", " ", (await ana.get("/tasks/1?pick=1")).text)
    fields = {
        **ana.forms[PICK],
        "do": "leave",
        "part": [ticks["src/a.py: the whole file"], ticks["src/a.py: lines 1-7"]],
    }
    assert (await ana.post(PICK, fields)).status_code == 303
    document = await staged(window, 2)
    assert [file["path"] for file in document.task.staged.files] == ["src/n.txt", "src/new.py", "src/old.py"]
    content = await window.served.app.diffs.content(document.task)
    odd = next(file for file in content.change.files if file.path == b"src/n.txt")
    assert await content.blob(odd.new_blob) == b"odd \xff\r\nno end"


async def test_with_scripts_the_box_of_a_file_shows_what_it_means_for_its_hunks(window):
    async with chromium(viewport={"width": 1280, "height": 900}) as page:
        await page.goto(f"{window.origin}/sign-in/{await window.link('lee')}")
        await page.click("text=Sign in >> nth=-1")
        await page.goto(f"{window.origin}/tasks/1")
        await page.click("#to-pick")
        file, hunks = page.get_by_label("src/a.py: the whole file"), page.locator("tr.hunk input")
        await file.check()
        assert [await hunks.nth(n).is_checked() for n in range(await hunks.count())] == [True, True]
        assert await hunks.first.is_disabled()
        await file.uncheck()
        assert [await hunks.nth(n).is_checked() for n in range(await hunks.count())] == [False, False]
        await page.keyboard.press("n")
        await page.keyboard.press("x")
        assert await hunks.first.is_checked()
        await page.click("text=Keep only these")
        await page.wait_for_url("**/tasks/1")
    assert [file["path"] for file in (await staged(window, 2)).task.staged.files] == ["src/a.py"]
