"""Policy, schedules and insight on their pages: what is shown, who may do what, and that all texts are inert."""

from __future__ import annotations

import asyncio
import re

import pytest

from core.model.insight import Measure
from core.services.insight import Insight
from tests.integration.window.test_window_tasks import HOSTILE
from tests.window import forms_in, open_window

pytestmark = [pytest.mark.window, pytest.mark.law, pytest.mark.xdist_group("window")]
ASK = "set server.timeout to 31 in config/app.yaml"


async def test_a_request_is_explained_as_policy_decides_and_nothing_is_asked_for(window):
    lee, ana = await window.signed_in("lee"), await window.signed_in("ana")
    page = (await ana.get("/policy")).text
    assert "Requests by member or maintainer in lane config are allowed." in page
    assert "It needs 1 approval by maintainer, not the requester&#39;s own." in page
    assert "/policy/check" not in ana.forms
    explained = (await ana.submit("/policy/explain", text=ASK)).text
    assert "✓ Allowed in lane config by rule config-changes" in explained
    assert "rule docs-changes: " in explained
    assert (await ana.submit("/policy/explain", text=ASK, person="lee")).status_code == 403
    assert (await lee.post("/policy/explain", {"csrf": lee.csrf, "text": ASK, "person": "ana"})).status_code == 200
    assert (await lee.post("/policy/explain", {"csrf": lee.csrf, "text": ASK, "person": "nobo"})).status_code in (
        403,
        404,
    )
    unclear = await ana.submit("/policy/explain", text=HOSTILE)
    assert unclear.status_code == 400
    for acts in ("<img", "\u202e", "\u200b", "\x1b"):
        assert acts not in re.sub(r"<textarea.*?</textarea>", "", unclear.text, flags=re.DOTALL)
    assert "<img" not in unclear.text
    operator = await window.signed_in(None)
    assert (await operator.post("/policy/explain", {"csrf": operator.csrf, "text": ASK})).status_code == 400
    assert len(await window.served.app.queries.list(limit=5)) == 1


async def test_maintainers_check_the_files_and_are_shown_the_first_mistake(window):
    lee, ana = await window.signed_in("lee"), await window.signed_in("ana")
    assert (await ana.post("/policy/check", {"csrf": ana.csrf})).status_code == 403
    await lee.get("/policy")
    assert "The files are valid" in (await lee.submit("/policy/check")).text
    policy = window.served.home.root / "policy.yaml"
    policy.write_text(policy.read_text().replace("approvals:", "aprovers:", 1))
    wrong = await lee.submit("/policy/check")
    assert wrong.status_code == 400
    assert "aprovers" in wrong.text


async def test_a_schedule_is_changed_by_its_author_and_those_who_operate_only(home):
    said = await asyncio.to_thread(home.document, "every", "weekday 09:00", ASK, "--repo", "web", "--as", "ana")
    async with open_window(home) as window:
        ana, bo, lee = [await window.signed_in(name) for name in ("ana", "bo", "lee")]
        assert "weekday 09:00" in (await bo.get("/schedules")).text
        assert "/schedules/change" not in bo.forms
        wanted = {"schedule": said["id"], "do": "pause"}
        assert (await bo.post("/schedules/change", {"csrf": bo.csrf, **wanted})).status_code == 403
        assert (await bo.post("/schedules/run", {"csrf": bo.csrf, **wanted})).status_code == 403
        await ana.get("/schedules")
        assert (await ana.submit("/schedules/change", do="pause")).status_code == 303
        assert "paused" in (await bo.get("/schedules")).text
        await lee.get("/schedules")
        assert (await lee.submit("/schedules/change", do="resume")).status_code == 303
        ran = [await lee.submit("/schedules/run") for _ in range(2)]
        assert [each.headers["location"] for each in ran] == ["/tasks/1"] * 2, "a form that is sent twice counts once"
        task = await window.served.task()
        assert (task.requester, sorted(task.authors)) == ("ana", ["ana", "lee"]), (
            "lee started it, and so does not approve it"
        )
        events = [each for each in await window.served.app.queries.events() if each.kind == "schedule.run"]
        assert [(each.person, each.surface) for each in events] == [("lee", "web")]
        assert (await lee.submit("/schedules/change", do="explode")).status_code == 400
        assert (await lee.submit("/schedules/change", do="delete")).status_code == 303
        assert "There is none." in (await lee.get("/schedules")).text
        gone = {"csrf": lee.csrf, "schedule": said["id"], "do": "pause"}
        assert (await lee.post("/schedules/change", gone)).status_code == 404


async def test_insight_shows_what_was_counted_and_names_people_to_those_who_operate_only(home):
    await asyncio.to_thread(home.published)
    async with open_window(home) as window:
        counting = Insight(window.served.app.database, window.served.app.settings, recount_ms=0)
        while await counting.count_next():
            pass
        figures = await window.served.app.insight.figures(7)
        assert figures.sums[Measure.EVENT]["task.published"] == {6: (1, 0.0)}
        assert figures.times[Measure.DECISION]["lee"].count == 1
        lee, ana = await window.signed_in("lee"), await window.signed_in("ana")
        page = (await lee.get("/insight?days=7")).text
        assert page.count("<figure") == 3  # no errors, loads or tokens
        assert page.count("Nothing of this happened.") == 3
        assert page.count("<summary>Table</summary>") == 3
        assert "<td>lee</td>" in page
        assert "<td>lee</td>" not in (await ana.get("/insight")).text
        assert " style=" not in page
        assert (await ana.get("/insight?days=9999")).status_code == 200


async def test_an_admin_adds_a_template_compares_another_and_replaces_only_what_was_compared(window):
    lee, ana, home = await window.signed_in("lee"), await window.signed_in("ana"), window.served.home
    page = (await ana.get("/lanes?q=changelog")).text
    assert ("changelog-entry" in page, "typo-sweep" in page) == (True, False)
    assert not {"/lanes/check", "/lanes/add"} & ana.forms.keys()
    assert (await ana.get("/lanes/docs/file")).status_code == 404, "what a lane of the home says may be private"
    assert (await ana.post("/lanes/check", {"csrf": ana.csrf, "template": "docs-fix"})).status_code == 403
    exported = (await ana.get("/lanes/changelog-entry/file")).text
    assert exported.startswith("# countersign lane 1 sha256:")
    await lee.get("/lanes")
    checked = await lee.post("/lanes/check", {"csrf": lee.csrf, "template": "changelog-entry"})
    lee.forms = forms_in(checked.text)
    file = home.root / "lanes" / "changelog-entry.yaml"
    assert not file.exists(), "a comparison writes nothing"
    added = await lee.submit("/lanes/add")
    assert "The lane changelog-entry is in the home." in added.text
    assert "name: changelog-entry-changes" in added.text
    assert file.read_text() == exported.partition("\n")[2]
    other = file.read_text().replace("version: 1", "version: 2")
    compared = await lee.post("/lanes/check", {"csrf": lee.csrf, "text": other})
    assert "-version: 1\n+version: 2" in compared.text
    lee.forms = forms_in(compared.text)
    file.write_text(file.read_text() + "# by hand\n")
    assert (await lee.submit("/lanes/add")).status_code == 409
    assert file.read_text().endswith("# by hand\n"), "never replaced without being shown"
    for wrong in (other + "unknown: 1\n", "PK\x03\x04", exported.replace("CHANGELOG", "CHANGES"), HOSTILE):
        refused = await lee.post("/lanes/check", {"csrf": lee.csrf, "text": wrong})
        assert refused.status_code == 400, wrong
    events = [each for each in await window.served.app.queries.events() if each.kind == "lane.imported"]
    assert [(each.person, each.surface) for each in events] == [("lee", "web")]
