"""The builtin agent, as outsiders met it (lanes.md 2, 4 and 12)."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from core.model.errors import PermanentError, WorkError
from core.model.lane import Limits
from lanes.models import ToolCall
from tests.integration.builtin_agent.conftest import START, Scripted, call, results_in

pytestmark = pytest.mark.lanes

DONE = call("finish", summary="ok")
ANYWHERE: dict[str, Any] = {"write": ("**",)}
EDIT = call("edit_file", path="docs/guide.md", old="The colour is red.", new="The color is red.")


# ---- 4: what the guard would refuse is refused at once


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (".env", ".env may not be changed in any lane (by **/.env)"),
        ("src/.ENV", "src/.ENV may not be changed in any lane (by **/.env)"),
        (".github/workflows/ci.yml", "may not be changed in any lane (by .github/**)"),
        ("docs/AGENTS.md", "may not be changed in any lane (by **/AGENTS.md)"),
        ("src/.gitattributes", "may not be changed in any lane (by **/.gitattributes)"),
        ("src/secret/x.py", "may not be changed in lane code (by src/secret/**)"),
        ("src/aux.py", "has the part aux.py, which is a device on Windows"),
        ("src/-rf", "begins with -"),
        ("README.MD:stream", "has the character :"),
    ],
)
async def test_lanes_04_a_protected_or_odd_path_is_refused_at_once(runner, repo, path, why):
    lane = {**ANYWHERE, "protect": ("src/secret/**",)}
    model = Scripted([call("write_file", path=path, text="x"), DONE])
    made = await runner.executor(model).produce(await runner.order(lane=lane), repo)
    assert model.last_told().startswith("Not done.")
    assert why in model.last_told()
    assert await runner.files(made.tree) == START


async def test_lanes_04_a_step_may_not_write_beyond_its_lane(runner, repo):
    lane = {"write": ("**",), "whole": ("src/**",)}
    model = Scripted([call("write_file", path="docs/x.md", text="x"), DONE])
    made = await runner.executor(model).produce(await runner.order(lane=lane), repo)
    assert "docs/x.md is outside lane code (src/**)" in model.last_told()
    assert await runner.files(made.tree) == START


async def test_lanes_04_deleting_and_editing_a_protected_file_are_refused_too(runner, repo):
    order = await runner.order(lane=ANYWHERE)
    start = await repo.write_tree(order.start, {"AGENTS.md": b"Be good.\n"}, [], {})
    model = Scripted([
        call("delete_file", path="AGENTS.md"),
        call("edit_file", path="AGENTS.md", old="good", new="bad"),
        DONE,
    ])  # fmt: skip
    made = await runner.executor(model).produce(replace(order, start=start), repo)
    assert made.tree == start
    told = results_in(model.asked[-1].messages)
    assert all("AGENTS.md may not be changed in any lane (by **/AGENTS.md)" in answer for answer in told)


@pytest.mark.parametrize(
    ("limits", "calls", "why"),
    [
        (Limits(files=2), [call("write_file", path=f"src/{n}", text="x") for n in range(3)], "at most 2 files"),
        (Limits(files=1), [call("delete_file", path="src/a.py"), call("delete_file", path="src/b.py")], "at most 1"),
        (Limits(file_bytes=10), [call("write_file", path="src/x", text="x" * 11)], "at most 10 bytes in a file"),
        (Limits(bytes=10), [call("write_file", path=f"src/{n}", text="x" * 6) for n in range(2)], "at most 10 bytes"),
    ],
    ids=["files", "deleted files", "bytes of a file", "bytes"],
)
async def test_lanes_04_what_is_over_a_limit_is_refused_at_once(runner, repo, limits, calls, why):
    model = Scripted([*calls, DONE])
    made = await runner.executor(model).produce(await runner.order(lane={"limits": limits}), repo)
    assert model.last_told().startswith("Not done.")
    assert why in model.last_told()
    change = await repo.change((await runner.order()).base, made.tree)
    assert len(change.files) == len(calls) - 1


async def test_lanes_04_what_earlier_revisions_changed_counts_against_the_limits(runner, repo):
    order = await runner.order(lane={"limits": Limits(files=2)})
    start = await repo.write_tree(order.start, {"src/a.py": b"1\n", "src/new.py": b"2\n"}, [], {})
    again = call("write_file", path="src/new.py", text="3\n")
    model = Scripted([again, call("write_file", path="src/b.py", text="4\n"), DONE])
    made = await runner.executor(model).produce(replace(order, start=start), repo)
    told = results_in(model.asked[-1].messages)
    assert told[0].startswith("Written")
    assert "at most 2 files" in told[1]
    assert (await runner.files(made.tree))["src/new.py"] == "3\n"


async def test_lanes_04_the_prompt_names_what_may_be_written_and_what_may_not(runner, repo):
    lane = {**ANYWHERE, "protect": ("db/**",), "limits": Limits(files=7, bytes=4000)}
    order = await runner.order(lane=lane)
    files = {"docs/AGENTS.md": b"x\n", ".env": b"A=1\n", "db/x.sql": b"x\n"}
    start = await repo.write_tree(order.start, files, [], {})
    model = Scripted([EDIT, DONE])
    await runner.executor(model).produce(replace(order, start=start), repo)
    prompt = model.asked[0].messages[0].text
    assert "You may write only: **." in prompt
    assert "at most 7 files and 4,000 bytes" in prompt
    assert ".env, db/x.sql, docs/AGENTS.md" in prompt


# ---- 12: a call with wrong arguments gets an answer and another try, within bounds


WRONG = {
    "an array": ToolCall("edit_file", {}, error="The answer is JSON, but not an object."),
    "nested": call("edit_file", path=["docs/guide.md"], old={"a": 1}, new=None),
    "numbers": call("edit_file", path=7, old=1, new=2),
    "null": call("edit_file", path=None, old=None, new=None),
    "a truth": call("write_file", path=True, text=False),
    "unknown tool": call("patch_file", path=["x"]),
    "another name": call("edit_file", file="docs/guide.md", old="a", new="b"),
    "a summary that is none": call("finish", summary=["a", {"b": 1}]),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
async def test_lanes_12_a_call_with_wrong_arguments_gets_another_try(runner, repo, wrong):
    model = Scripted([wrong, EDIT, DONE])
    made = await runner.executor(model).produce(await runner.order(), repo)
    if wrong.name == "finish":
        assert made.provenance.words == ""
    else:
        assert model.asked[1].messages[-1].text.startswith(("Not done.", "There is no tool"))
        assert (await runner.files(made.tree))["docs/guide.md"].startswith("The color is red.")


async def test_lanes_12_a_model_that_only_sends_wrong_arguments_is_stopped(runner, repo):
    wrongs = [ToolCall(name, {}, error="The arguments are no object.") for name in ("edit_file", "write_file") * 9]
    model = Scripted(list(wrongs))
    with pytest.raises(WorkError) as stopped:
        await runner.executor(model).produce(await runner.order(), repo)
    assert stopped.value.problem.code == "model_babbled"
    assert len(model.asked) == 3


async def test_lanes_12_wrong_arguments_beside_good_ones_do_not_count_as_babble(runner, repo):
    wrong = ToolCall("edit_file", {}, error="no object")
    reads = [[wrong, call("read_file", path="src/a.py", from_line=n)] for n in range(1, 5)]
    model = Scripted([*reads, EDIT, DONE])
    lane = {"budget": replace((await runner.order()).lane.budget, repeats=9)}
    made = await runner.executor(model).produce(await runner.order(lane=lane), repo)
    assert (await runner.files(made.tree))["docs/guide.md"].startswith("The color is red.")


@pytest.mark.parametrize("arguments", ["[1]", "null", '"x"', "7", '{"path": {"a": [1]}}'])
async def test_lanes_12_the_fallback_without_tools_gives_another_try_too(runner, repo, arguments):
    refusal = PermanentError("model_no_tools", "it does not support tools")
    good = json.dumps({"tool": "edit_file", "arguments": dict(EDIT.arguments)})
    end = '{"tool": "finish", "arguments": {"summary": "ok"}}'
    wrong = f'{{"tool": "read_file", "arguments": {arguments}}}'
    model = Scripted([refusal, wrong, good, end])
    made = await runner.executor(model).produce(await runner.order(), repo)
    assert (await runner.files(made.tree))["docs/guide.md"].startswith("The color is red.")


# ---- 2: a model that changed nothing


async def test_lanes_02_a_refused_edit_is_told_with_what_was_made(runner, repo):
    refused = call("edit_file", path="README.md", old="# Web", new="# Mine")
    made = await runner.executor(Scripted([refused, DONE])).produce(await runner.order(), repo)
    assert made.tree == (await runner.order()).start
    assert "README.md" in made.provenance.refused
    mended = await runner.executor(Scripted([refused, EDIT, DONE])).produce(await runner.order(), repo)
    assert not mended.provenance.refused
