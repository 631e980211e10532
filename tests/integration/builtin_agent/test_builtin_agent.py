"""The builtin agent: a model that edits through tools; what it makes, what it is refused, and when it is stopped."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from core.model.budget import Budget
from core.model.errors import PermanentError, TransientError, WorkError
from core.model.lane import LaneCheck, Limits
from core.ports.journal import MemoryJournal
from tests.integration.builtin_agent.conftest import START, Scripted, call, results_in

pytestmark = pytest.mark.lanes

DONE = call("finish", summary="Color is spelt the short way.")
EDIT = call("edit_file", path="docs/guide.md", old="The colour is red.", new="The color is red.")


async def test_a_model_reads_edits_and_says_that_it_is_done(runner, repo):
    model = Scripted([call("search", text="colour"), call("read_file", path="docs/guide.md"), EDIT, DONE])
    made = await runner.executor(model).produce(await runner.order(), repo)
    assert (await runner.files(made.tree))["docs/guide.md"] == "The color is red.\nThe colour is blue.\n"
    assert made.provenance.words == "Color is spelt the short way."
    assert made.provenance.executor == "ollama"
    assert [(u.model, u.calls, u.input_tokens, u.output_tokens) for u in made.provenance.usage] == [
        ("local/fake", 4, 40, 20)
    ]
    assert await runner.usage.spent() == made.provenance.usage
    assert [usage.calls for usage in runner.usage.entries.values()] == [1, 1, 1, 1]
    assert any("step 2 of at most 50" in words for words in runner.progress)
    told = results_in(model.asked[-1].messages)
    assert told[0] == "docs/guide.md:1: The colour is red.\ndocs/guide.md:2: The colour is blue."
    assert told[1] == "docs/guide.md, 3 lines:\n1\tThe colour is red.\n2\tThe colour is blue.\n3\t"


async def test_files_are_made_and_deleted_and_the_rest_stays(runner, repo):
    model = Scripted(
        [[call("write_file", path="src/new/c.py", text="c = 3\n"), call("delete_file", path="src/b.py")], DONE]
    )
    made = await runner.executor(model).produce(await runner.order(), repo)
    kept = {path: text for path, text in START.items() if path != "src/b.py"}
    assert await runner.files(made.tree) == {**kept, "src/new/c.py": "c = 3\n"}


async def test_the_transcript_is_kept_line_by_line(runner, repo):
    made = await runner.executor(Scripted([EDIT, DONE])).produce(await runner.order(), repo)
    lines = [json.loads(line) for line in made.artifacts["transcript.jsonl"].splitlines()]
    assert [line["role"] for line in lines] == ["system", "user", "assistant", "tool", "assistant", "tool"]
    assert "You may write only: src/**, docs/**." in lines[0]["text"]
    assert "<request>\nsay color\n</request>" in lines[1]["text"]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (
            call("edit_file", path="README.md", old="# Web", new="# Mine"),
            "Not done. README.md may not be written in this lane. You",
        ),
        (call("write_file", path="../out", text="x"), "Not done. "),
        (call("write_file", path="/etc/passwd", text="x"), "Not done. "),
        (call("write_file", path="src/.git/config", text="x"), "Not done. "),
        (
            call("write_file", path="src/a.py/b", text="x"),
            "Not done. src/a.py is a file, so src/a.py/b cannot exist",
        ),
        (call("write_file", path="src", text="x"), "Not done. src may not be written in this lane. You"),
        (call("read_file", path="src/A.py"), "Not done. There is no file src/A.py. Did you mean src/a.py?"),
        (call("read_file"), "Not done. The argument 'path' must be a text. Call"),
        (
            call("edit_file", path="docs/guide.md", old="colour", new="color"),
            "Not done. docs/guide.md has that text 2 times",
        ),
        (
            call("edit_file", path="docs/guide.md", old="cool", new="color"),
            "Not done. docs/guide.md does not have that",
        ),
        (call("edit_file", path="docs/guide.md", old="", new="color"), "Not done. The argument 'old' must be a text."),
        (
            call("write_file", path="src/x.py", text="\ud800"),
            "Not done. The text has invalid characters",
        ),
        (call("approve", digest="all"), "There is no tool 'approve'; there are: delete_file, edit_file, finish,"),
        (call("run_check", name="rm -rf /"), "Not done. There is no check 'rm -rf /'. There are: none."),
        (call("read_file", path="docs/guide.md", from_line="2", lines=True), "docs/guide.md, 3 lines:\n2\tThe colour"),
        (call("list_files", glob="src/*.py"), "src/a.py\nsrc/b.py"),
        (call("list_files", glob=7), "No file."),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str) else value.name,
)
async def test_what_cannot_be_done_is_answered_and_changes_nothing(runner, repo, asked, told):
    model = Scripted([asked, call("finish", summary="nothing")])
    made = await runner.executor(model).produce(await runner.order(), repo)
    assert model.last_told().startswith(told)
    assert await runner.files(made.tree) == START


async def test_a_link_is_neither_read_nor_written(runner, repo):
    order = await runner.order()
    start = await repo.write_tree(order.start, {"src/link": b"/etc/passwd"}, [], {"src/link": "120000"})
    model = Scripted([call("read_file", path="src/link"), call("write_file", path="src/link", text="x"), DONE])
    from dataclasses import replace

    made = await runner.executor(model).produce(replace(order, start=start), repo)
    assert made.tree == start
    assert all("is a link or a submodule" in told for told in results_in(model.asked[-1].messages))


async def test_more_than_the_lane_may_write_is_refused_at_once(runner, repo):
    model = Scripted([call("write_file", path="src/big", text="x" * 2000), DONE])
    made = await runner.executor(model).produce(await runner.order(lane={"limits": Limits(bytes=1000)}), repo)
    assert made.tree == (await runner.order()).start
    assert "lane may not write that much" in model.last_told()


async def test_what_was_asked_and_answered_before_is_told_in_whole_lines_and_in_bounds(runner, repo):
    from dataclasses import replace

    order = await runner.order("say color everywhere")
    (turn,) = order.turns
    said = [replace(turn, n=n, text=f"{n}: {'well ' * 200}") for n in range(1, 20)]
    asked = replace(turn, n=19, person="countersign itself", text="Which file? (to press: guide | all)")
    model = Scripted([EDIT, DONE])
    await runner.executor(model).produce(replace(order, turns=(*said, asked, replace(turn, n=20, text="all"))), repo)
    told = model.asked[0].messages[1].text
    assert told.endswith('countersign itself said: "Which file? (to press: guide | all)"\nana said: "all"')
    assert "older ones are left out" in told
    assert len(told) < 9_000
    lines = told.split("oldest first:\n")[1].split("\n")[1:]
    assert all(isinstance(json.loads(line.split(" said: ", 1)[1]), str) for line in lines)


# ---- bounds


@pytest.mark.parametrize(
    ("budget", "code"),
    [(Budget(steps=3), "budget_spent"), (Budget(tokens=40), "budget_spent"), (Budget(repeats=2), "model_in_circles")],
    ids=["steps", "tokens", "repeats"],
)
async def test_a_model_without_an_end_is_stopped_and_its_talk_kept(runner, repo, budget, code):
    model = Scripted([call("list_files")] * 60)
    with pytest.raises(WorkError) as stopped:
        await runner.executor(model).produce(await runner.order(lane={"budget": budget}), repo)
    assert stopped.value.problem.code == code
    assert stopped.value.problem.mend
    assert len(model.asked) <= 4
    assert b"list_files" in stopped.value.artifacts["transcript.jsonl"]


async def test_edits_to_and_fro_end_with_the_steps(runner, repo):
    there = call("edit_file", path="src/b.py", old="value = 1", new="value = 2")
    back = call("edit_file", path="src/b.py", old="value = 2", new="value = 1")
    with pytest.raises(WorkError, match="8 of 8 answers"):
        await runner.executor(Scripted([there, back] * 30)).produce(
            await runner.order(lane={"budget": Budget(steps=8)}), repo
        )


async def test_time_runs_out(runner, repo):
    import asyncio

    class Slow(Scripted):
        async def ask(self, ask):
            await asyncio.sleep(3600)

    with pytest.raises(WorkError, match="did not finish within 1 s") as stopped:
        await runner.executor(Slow([])).produce(await runner.order(lane={"limits": Limits(wall_s=1)}), repo)
    assert stopped.value.problem.code == "timed_out"


async def test_a_model_that_only_talks_is_asked_to_act_and_then_let_go(runner, repo):
    model = Scripted(["I will!", "Soon!", "I cannot do that."])
    made = await runner.executor(model).produce(await runner.order(), repo)
    assert made.tree == (await runner.order()).start
    assert made.provenance.words == "I cannot do that."
    assert "Call a tool" in model.asked[1].messages[-1].text


async def test_a_model_that_is_down_is_waited_for(runner, repo):
    with pytest.raises(TransientError):
        await runner.executor(Scripted([TransientError("model_down", "it is down")])).produce(
            await runner.order(), repo
        )


async def test_a_long_talk_stays_within_what_the_endpoint_holds(runner, repo):
    long = call("write_file", path="src/long.py", text="x = 1\n" * 800)
    reads = [call("read_file", path="src/long.py", from_line=n) for n in range(1, 30)]
    model = Scripted([long, *reads, DONE])
    made = await runner.executor(model, context_tokens=8192).produce(await runner.order(), repo)
    assert (await runner.files(made.tree))["src/long.py"] == "x = 1\n" * 800
    for ask in model.asked:
        size = sum(len(m.text) + len(json.dumps([dict(c.arguments) for c in m.calls])) for m in ask.messages)
        assert size <= 8192 * 3
        assert ask.messages[1].text.startswith("The request")


# ---- models without tools


async def test_a_model_without_tools_answers_with_json(runner, repo):
    def plain(asked):
        assert not asked.tools
        assert asked.schema
        return json.dumps({"tool": "edit_file", "arguments": dict(EDIT.arguments)})

    refusal = PermanentError("model_no_tools", "it does not support tools")
    end = '```json\n{"tool": "finish", "arguments": {"summary": "ok"}}\n```'
    model = Scripted([refusal, plain, "not json at all", end])
    made = await runner.executor(model).produce(await runner.order(), repo)
    assert (await runner.files(made.tree))["docs/guide.md"].startswith("The color is red.")
    assert made.provenance.words == "ok"


NO_CALLS = {
    "no JSON": "I shall gladly do that.",
    "words behind it": '{"tool": "finish", "arguments": {}} I hope this helps!',
    "words before it": 'Here: {"tool": "finish", "arguments": {}}',
    "two of them": '{"tool": "finish", "arguments": {}}' * 2,
    "a key given twice": '{"tool": "list_files", "tool": "finish", "arguments": {}}',
    "not a number": '{"tool": "read_file", "arguments": {"path": "docs/guide.md", "from_line": NaN}}',
    "endless number": '{"tool": "read_file", "arguments": {"path": "docs/guide.md", "from_line": 1e999}}',
    "beyond 64 bits": '{"tool": "read_file", "arguments": {"path": "docs/guide.md", "from_line": 9223372036854775808}}',
    "very deep": "[" * 1_000_000,
    "deep": '{"tool": "finish", "arguments": {"summary": ' + "[" * 150_000,
    "another key": '{"tool": "finish", "arguments": {}, "approved_by": "lee"}',
    "no arguments": '{"tool": "finish"}',
    "another type": '{"tool": ["finish"], "arguments": {}}',
    "half a character": '{"tool": "finish", "arguments": {"summary": "\\ud800"}}',
    "half a raw character": '{"tool": "finish", "arguments": {"summary": "\ud800"}}',
    "very long": '{"tool": "finish", "arguments": {"summary": "' + "x" * 50_000_000 + '"}}',
    "nothing": "",
}


@pytest.mark.parametrize("said", NO_CALLS.values(), ids=NO_CALLS)
async def test_an_answer_that_is_no_call_is_asked_for_again_twice_and_then_the_work_fails(runner, repo, said):
    refusal = PermanentError("model_no_tools", "it does not support tools")
    model = Scripted([refusal, said, said, said, '{"tool": "finish", "arguments": {}}'])
    with pytest.raises(WorkError) as failed:
        await runner.executor(model).produce(await runner.order(), repo)
    assert failed.value.problem.code == "model_babbled"
    assert "3 answers in a row" in failed.value.problem.message
    assert failed.value.problem.mend
    assert len(failed.value.problem.message) < 400
    assert len(model.asked) == 4, "the first with tools, then three without"
    assert "That answer cannot be used" in model.last_told()
    assert len(failed.value.artifacts["transcript.jsonl"]) < 50_000


async def test_a_tool_that_is_not_there_is_no_reason_to_stop(runner, repo):
    refusal = PermanentError("model_no_tools", "it does not support tools")
    end = '{"tool": "finish", "arguments": {"summary": "ok"}}'
    model = Scripted([refusal, '{"tool": "approve", "arguments": {"number": 1}}', end])
    made = await runner.executor(model).produce(await runner.order(), repo)
    assert "There is no tool 'approve'" in model.last_told()
    assert made.tree == (await runner.order()).start


async def test_answers_that_were_no_calls_count_for_whoever_takes_the_work_over(runner, repo):
    journal = MemoryJournal()
    order = await runner.order(journal=journal)

    def dies(_ask):
        raise Killed

    refusal = PermanentError("model_no_tools", "it does not support tools")
    with pytest.raises(Killed):
        await runner.executor(Scripted([refusal, "no JSON", "none either", dies])).produce(order, repo)
    heir = Scripted([refusal, "and again none"])
    with pytest.raises(WorkError, match="3 answers in a row"):
        await runner.executor(heir).produce(order, repo)
    assert len(heir.asked) == 2


async def test_a_tool_called_a_hundred_times_at_once_ends_the_work(runner, repo):
    model = Scripted([[call("list_files")] * 100])
    with pytest.raises(WorkError) as stopped:
        await runner.executor(model).produce(await runner.order(), repo)
    assert stopped.value.problem.code == "model_in_circles"


# ---- checks


PASSES = LaneCheck("style", ("sh", "-c", "! grep -r colour docs"), required=True)


@pytest.mark.sandbox
async def test_a_failing_check_goes_back_with_its_log_and_is_mended(runner, repo):
    rest = call("edit_file", path="docs/guide.md", old="The colour is blue.", new="The color is blue.")
    model = Scripted([EDIT, DONE, rest, DONE])
    made = await runner.executor(model).produce(await runner.order(lane={"checks": (PASSES,)}), repo)
    assert (await runner.files(made.tree))["docs/guide.md"] == "The color is red.\nThe color is blue.\n"
    assert [(check.name, check.passed, check.required) for check in made.provenance.checks] == [("style", True, True)]
    assert (made.provenance.tries, made.provenance.usage[0].calls) == (2, 4)
    assert "The colour is blue." in model.asked[2].messages[1].text
    assert "check-style.log" in made.artifacts


@pytest.mark.sandbox
async def test_a_check_that_never_passes_is_told_as_it_is(runner, repo):
    model = Scripted([EDIT, DONE, DONE, DONE, DONE])
    order = await runner.order(lane={"checks": (PASSES,), "retries": 2})
    made = await runner.executor(model).produce(order, repo)
    assert made.provenance.tries == 3
    assert not made.provenance.checks[0].passed
    assert made.provenance.checks[0].detail.startswith("failed with 1: docs/guide.md:The colour is blue.")


@pytest.mark.sandbox
async def test_the_model_runs_a_check_itself(runner, repo):
    model = Scripted([call("run_check", name="style"), EDIT, DONE])
    await runner.executor(model).produce(await runner.order(lane={"checks": (PASSES,), "retries": 0}), repo)
    assert results_in(model.asked[1].messages)[0].startswith("failed with 1")


# ---- going on


class Killed(BaseException):
    """The process is gone."""


async def without_versions(journal: MemoryJournal) -> MemoryJournal:
    """The entries of a journal as an older version wrote them."""
    older = MemoryJournal()
    for entry in await journal.recall():
        await older.add({key: value for key, value in entry.items() if key != "v"})
    return older


@pytest.mark.parametrize("written_by", ["this version", "an older version"])
async def test_what_a_killed_worker_was_answered_is_not_asked_again(runner, repo, written_by):
    journal = MemoryJournal()
    order = await runner.order(journal=journal)

    def dies(_ask):
        raise Killed

    with pytest.raises(Killed):
        await runner.executor(Scripted([call("search", text="colour"), EDIT, dies])).produce(order, repo)
    assert {entry["v"] for entry in await journal.recall()} == {1}
    if written_by == "an older version":
        order = replace(order, journal=await without_versions(journal))
    heir = Scripted([DONE])
    made = await runner.executor(heir).produce(order, repo)
    assert len(heir.asked) == 1
    assert (await runner.files(made.tree))["docs/guide.md"].startswith("The color is red.")
    assert made.provenance.usage[0].calls == 3
    assert results_in(heir.asked[0].messages)[0].startswith("docs/guide.md:1")
