"""Workflow runs: order, parallel steps, conditions, retries, limits, and results that are reused."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from core.model.budget import Budget
from core.model.errors import CountersignError, Kind, PermanentError, TransientError, WorkError
from core.model.lane import Limits
from lanes.workflow.cache import CachedStep, StepCache
from lanes.workflow.run import STEPS_LOG
from tests.integration.lanes import origin
from tests.integration.workflow.conftest import WorkflowRunner, lane_named

pytestmark = pytest.mark.lanes
needs_sandbox = pytest.mark.sandbox


async def fails(runner: WorkflowRunner, lane, kind: type[CountersignError] = PermanentError, **parameters: str):
    with pytest.raises(kind) as caught:
        await runner.run(lane, **parameters)
    return caught.value.problem


async def test_a_step_begins_with_the_trees_of_those_it_needs(runner, scripted):
    seen = {}

    def does(order):
        seen[order.intent.text] = order.start
        return {f"{order.intent.text}.txt": "made\n"}

    scripted.does = does
    lane = (
        "name: last, run: doing, do: c, needs: [one, two]\nname: one, run: doing, do: a\nname: two, run: doing, do: b"
    )
    made = await runner.run(lane_named(lane))
    assert await runner.changed(made) == {"a.txt": "made\n", "b.txt": "made\n", "c.txt": "made\n"}
    order = await runner.order(lane_named(lane))
    assert seen["a"] == seen["b"] == order.start != seen["c"]
    listed = await runner.repo.list_paths(seen["c"])
    assert {b"a.txt", b"b.txt"} <= set(listed)


async def test_steps_that_nothing_orders_run_side_by_side(runner, scripted):
    both = asyncio.Barrier(2)

    async def meet(_order):
        async with asyncio.timeout(60):
            await both.wait()

    scripted.before = meet
    scripted.does = lambda order: {f"{order.intent.text}.txt": "x"}
    made = await runner.run(lane_named("name: one, run: doing, do: a\nname: two, run: doing, do: b"))
    assert set(await runner.changed(made)) == {"a.txt", "b.txt"}


async def test_one_path_changed_in_two_ways_names_both_steps(runner, scripted):
    scripted.does = lambda order: {"README.md": order.intent.text, "CHANGELOG.md": None}
    problem = await fails(runner, lane_named("name: left, run: doing, do: a\nname: right, run: doing, do: b"))
    assert problem.code == "steps_disagree"
    assert "left and right changed README.md" in problem.message
    runner.begin_another_job()
    scripted.does = lambda _order: {"README.md": "same", "CHANGELOG.md": None}
    made = await runner.run(lane_named("name: left, run: doing, do: a\nname: right, run: doing, do: b"))
    assert await runner.changed(made) == {"README.md": "same", "CHANGELOG.md": None}


async def test_a_step_whose_condition_does_not_hold_is_left_out(runner):
    more = "parameters:\n  log: {type: boolean, default: false}\n  word: {}\n"
    lane = lane_named(
        'name: a, run: edit, do: "add the line \\"{word}\\" to README.md"\n'
        'name: b, run: edit, do: "delete CHANGELOG.md", when: "{log} and {word} != x", needs: [a]\n'
        'name: c, run: edit, do: "delete src/b.py", needs: [b]',
        more,
    )
    made = await runner.run(lane, word="one; delete src/a.py")
    changed = await runner.changed(made)
    assert set(changed) == {"README.md", "src/b.py"}
    assert changed["README.md"].endswith("one; delete src/a.py\n")
    assert "b: skipped: the condition {log} and {word} != x is false" in made.artifacts[STEPS_LOG].decode()
    assert set(await runner.changed(await runner.run(lane, word="y", log="true"))) == {
        "README.md",
        "src/b.py",
        "CHANGELOG.md",
    }


async def test_what_may_pass_by_itself_is_tried_again_and_no_more_than_said(runner, scripted):
    faults = [TransientError("busy", "busy", retry_after_s=0), TransientError("busy", "busy", retry_after_s=0)]

    def before(_order):
        if faults:
            raise faults.pop()

    scripted.before = before
    scripted.does = lambda _order: {"a.txt": "x"}
    made = await runner.run(lane_named("name: a, run: doing, do: a, retries: 2"))
    assert set(await runner.changed(made)) == {"a.txt"}
    assert [word for word in runner.progress if word.startswith("step")] == [
        "step a",
        "step a, attempt 2",
        "step a, attempt 3",
    ]
    faults[:] = [TransientError("busy", "busy", retry_after_s=0)] * 2
    runner.begin_another_job()
    problem = await fails(runner, lane_named("name: a, run: doing, do: a, retries: 1"), TransientError)
    assert problem.message == "step a: busy"
    faults[:] = [TransientError("busy", "busy", retry_after_s=3600)] * 2
    assert (await fails(runner, lane_named("name: b, run: doing, do: a, retries: 1"), TransientError)).code == "busy"
    assert len(faults) == 1, "an hour is left to the queue"


async def test_a_step_writes_only_what_it_may(runner, scripted):
    scripted.does = lambda _order: {"src/c.py": "x", "docs/x.md": "y"}
    problem = await fails(runner, lane_named('name: a, run: doing, do: a, writes: ["src/**"]'))
    assert (problem.code, problem.kind) == ("step_out_of_bounds", Kind.BLOCKED)
    assert "step a: it changed docs/x.md, but may write only src/**" in problem.message
    assert scripted.orders[0].lane.write == ("src/**",)
    assert scripted.orders[0].lane.steps == ()


async def test_a_finished_step_is_not_run_again_by_whoever_takes_the_work_over(runner, scripted):
    scripted.does = lambda order: {f"{order.intent.text}.txt": "x"}
    lane = lane_named("name: one, run: doing, do: a\nname: two, run: doing, do: b, needs: [one]")

    def dies(order):
        if order.intent.text == "b":
            raise TransientError("gone", "the worker died", retry_after_s=600)

    scripted.before = dies
    assert (await fails(runner, lane, TransientError)).code == "gone"
    assert [order.intent.text for order in scripted.orders] == ["a", "b"]
    scripted.before = None
    made = await runner.run(lane)
    assert [order.intent.text for order in scripted.orders] == ["a", "b", "b"]
    assert set(await runner.changed(made)) == {"a.txt", "b.txt"}
    assert made.provenance.usage[0].calls == 2, "what the dead worker spent on the finished step counts"
    assert made.artifacts["one.transcript.jsonl"] == made.artifacts["two.transcript.jsonl"] == b"{}\n"


async def test_another_start_makes_a_finished_step_anew(runner, scripted, tmp_path):
    scripted.does = lambda order: {f"{order.intent.text}.txt": "x"}
    lane = lane_named("name: one, run: doing, do: a")
    await runner.run(lane)
    order = await runner.order(lane)
    other = await runner.repo.write_tree(order.start, {"new.txt": b"n"}, [], {})
    made = await runner.executor.produce(replace(order, start=other), runner.repo)
    assert set(await runner.changed(made)) == {"a.txt", "new.txt"}
    assert len(scripted.orders) == 2


async def test_a_kept_result_is_used_again_for_the_same_inputs_alone(runner, scripted):
    scripted.does = lambda order: {f"{order.intent.text}.txt": "x"}
    scripted.reads = False
    parameters = "version: {}\nparameters:\n  word: {{}}\n  other: {{default: z}}\n"
    steps = (
        'name: one, run: doing, do: "{word}", cache: true\n'
        'name: two, run: edit, do: "add the line \\"{other}\\" to README.md"'
    )

    async def run(version: int, **values: str) -> set[str]:
        runner.begin_another_job()  # another task's
        return set(await runner.changed(await runner.run(lane_named(steps, parameters.format(version)), **values)))

    assert await run(1, word="a") == {"a.txt", "README.md"}
    assert await run(1, word="a") == {"a.txt", "README.md"}
    assert len(scripted.orders) == 1
    await run(1, word="a", other="y")
    assert len(scripted.orders) == 1, "a value that the step does not use is no input of it"
    await run(1, word="b")
    assert len(scripted.orders) == 2
    await run(2, word="a")
    assert len(scripted.orders) == 3, "another version of the lane"


async def test_a_model_is_asked_again_unless_its_step_says_otherwise(runner, scripted):
    scripted.does = lambda _order: {"a.txt": "x"}
    for _ in range(2):
        runner.begin_another_job()
        await runner.run(lane_named("name: one, run: doing, do: a"))
    assert len(scripted.orders) == 2


async def test_a_kept_result_brings_its_objects_when_git_has_forgotten_them(runner, scripted, tmp_path):
    scripted.does = lambda _order: {"a.txt": "unusual text\n"}
    lane = lane_named("name: one, run: doing, do: a, cache: true")
    made = await runner.run(lane)
    runner.begin_another_job()
    runner.repo = origin.store(tmp_path / "origin.git", tmp_path / "elsewhere")  # another host, the same state folder
    await runner.repo.fetch_base()
    assert not await runner.repo.has(made.tree)
    again = await runner.run(lane)
    assert (again.tree, len(scripted.orders)) == (made.tree, 1)
    assert again.artifacts["one.transcript.jsonl"] == made.artifacts["one.transcript.jsonl"]
    assert await runner.changed(again) == {"a.txt": "unusual text\n"}


async def test_the_cache_keeps_no_more_than_it_may_and_survives_what_was_spoilt(runner, scripted, tmp_path):
    cache = StepCache(tmp_path / "small", max_results=3)
    order = await runner.order(lane_named("name: one, run: doing, do: a"))
    tree = order.start
    for n in range(6):
        tree = await runner.repo.write_tree(order.start, {f"{n}.txt": b"x"}, [], {})
        await cache.store(f"{n:064x}", order.start, CachedStep(tree), runner.repo)
    kept = list((tmp_path / "small").glob("??/*"))
    assert len(kept) == 3
    assert await cache.find(f"{5:064x}", runner.repo) == CachedStep(tree)
    assert await cache.find(f"{9:064x}", runner.repo) is None
    kept[0].write_bytes(b"spoilt")
    assert await cache.find(kept[0].name, runner.repo) is None


async def test_what_steps_spend_is_one_sum_within_one_budget(runner, scripted):
    scripted.does = lambda order: {f"{order.intent.text}.txt": "x"}
    chain = lane_named("name: one, run: doing, do: a\nname: two, run: doing, do: b, needs: [one]")
    made = await runner.run(chain)
    assert runner.tokens == [10, 10]
    assert made.provenance.usage[0].tokens == 20
    assert made.provenance.words == "did a. did b."
    runner.begin_another_job()
    problem = await fails(runner, replace(chain, budget=Budget(tokens=10)))
    assert (problem.code, problem.kind) == ("budget_spent", Kind.REFUSED)
    assert scripted.orders[-1].lane.budget.tokens == 10


async def test_the_whole_has_the_lanes_time_and_says_what_was_under_way(runner, scripted):
    scripted.before = lambda _order: asyncio.sleep(300)
    slow = replace(lane_named("name: one, run: doing, do: a"), limits=Limits(wall_s=1))
    problem = await fails(runner, slow)
    assert problem.code == "timed_out"
    assert "running: one" in problem.message


async def test_a_step_whose_journal_entry_has_no_version_is_not_run_again(runner, scripted):
    """Older versions wrote entries without one."""
    lane = lane_named("name: one, run: doing, do: a")
    made = await runner.run(lane)
    (entry,) = await runner.journal.part("one:made").recall()
    assert entry["v"] == 1
    runner.begin_another_job()
    await runner.journal.part("one:made").add({key: value for key, value in entry.items() if key != "v"})
    assert (await runner.run(lane)).tree == made.tree
    assert len(scripted.orders) == 1


async def test_a_failing_step_stops_the_others_and_is_named(runner, scripted):
    stopped = []

    async def before(order):
        if order.intent.text == "b":
            raise WorkError("broke", "it broke", artifacts={"log.txt": b"why"})
        try:
            await asyncio.sleep(300)
        except asyncio.CancelledError:
            stopped.append(order.intent.text)
            raise

    scripted.before = before
    lane = lane_named("name: a, run: doing, do: a\nname: b, run: doing, do: b\nname: c, run: doing, do: c, needs: [b]")
    with pytest.raises(WorkError) as caught:
        await runner.run(lane)
    assert caught.value.problem.message == "step b: it broke"
    assert caught.value.artifacts == {"b.log.txt": b"why"}
    assert stopped == ["a"]


async def test_a_step_is_told_its_own_words_and_heard_under_its_name(runner, scripted):
    scripted.does = lambda _order: {"a.txt": "x"}
    more = "parameters:\n  word: {}\n  other: {default: z}\n"
    lane = lane_named('name: one, run: doing, do: "write {word}"\nname: two, run: doing, do: "{other}"', more)
    made = await runner.run(lane, word="it")
    order = next(order for order in scripted.orders if order.intent.text == "write it")
    assert order.parameters == {"word": "it"}
    assert "one: thinking" in runner.progress
    assert "one.transcript.jsonl" in made.artifacts


async def test_an_approval_is_never_run_over(runner):
    lane = lane_named(
        "name: a, run: edit, do: delete README.md\nname: o, run: approval\nname: b, run: edit, do: delete src/a.py"
    )
    problem = await fails(runner, lane)
    assert problem.code == "no_executor"


async def test_what_a_lane_needs_is_what_any_step_needs(runner):
    lane = lane_named('name: a, run: doing, do: x\nname: b, run: check, command: ["true"]')
    assert runner.executor.needs(lane) == {"gpu", "sandbox"}
    missing = runner.executor.unavailable(lane_named("name: a, run: nobody, do: x"))
    assert missing is not None
    assert "step a: there is no executor nobody" in missing.message


async def test_a_sentence_that_nobody_understands_or_a_value_that_fits_nowhere_is_told(runner):
    problem = await fails(runner, lane_named("name: a, run: edit, do: make it nice"), CountersignError)
    assert problem.message.startswith("step a: ")
    more = "parameters:\n  word: {}\n"
    lane = lane_named('name: a, run: edit, do: "bump {word} to 1.0"', more)
    assert (await fails(runner, lane, word="two words")).code == "bad_parameter"


@needs_sandbox
async def test_a_check_step_judges_and_changes_nothing(runner):
    more = "parameters:\n  word: {}\n"
    steps = (
        'name: add, run: edit, do: "add the line \\"{word}\\" to README.md"\n'
        "name: look, run: check, needs: [add], "
        'command: [sh, -c, \'echo seen; touch made; grep -q "$0" README.md\', "{word}"]'
    )
    made = await runner.run(lane_named(steps, more), word="hello")
    assert set(await runner.changed(made)) == {"README.md"}
    (result,) = made.provenance.checks
    assert (result.name, result.passed, made.artifacts[result.artifact]) == ("look", True, b"seen\n")
    failing = lane_named('name: look, run: check, command: [sh, -c, "echo no; exit 3"]')
    with pytest.raises(WorkError, match="step look: it failed with 3: no") as caught:
        await runner.run(failing)
    assert caught.value.artifacts == {"look.check-look.log": b"no\n"}


@needs_sandbox
async def test_a_value_never_reaches_a_shell(runner):
    more = "parameters:\n  word: {}\nenv: {KIND: lane}\n"
    steps = (
        'name: a, run: command, env: {WORD: "{word}"}, command: '
        "[python3, -c, \"import os, sys; said = [sys.argv[1:], os.environ['WORD'], os.environ['KIND']]; "
        "open('out','w').write(repr(said))\","
        ' "{word}"]'
    )
    hostile = "$(touch pwned); `id` '\" {word} && rm -rf ."
    made = await runner.run(lane_named(steps, more), word=hostile)
    changed = await runner.changed(made)
    assert set(changed) == {"out"}
    assert changed["out"] == repr([[hostile], hostile, "lane"])


@needs_sandbox
async def test_a_failing_check_of_the_lane_goes_back_to_the_step_that_named_it(runner, scripted):
    more = "checks:\n  - {name: good, command: [grep, -q, good, a.txt]}\n"
    scripted.does = lambda order: {"a.txt": "good\n" if order.feedback else "bad\n"}
    made = await runner.run(lane_named("name: a, run: doing, do: a, checks: [good], retries: 1", more))
    assert await runner.changed(made) == {"a.txt": "good\n"}
    assert [check.passed for check in made.provenance.checks] == [True]
    assert (made.provenance.tries, len(scripted.orders)) == (2, 2)


LANE_CHECK = "retries: {}\nchecks:\n  - {{name: good, command: [sh, -c, 'cat a.txt; grep -q good a.txt']}}\n"


@needs_sandbox
async def test_a_failing_check_of_the_whole_goes_back_to_the_last_step_that_reads_and_what_follows_runs_again(
    runner, scripted
):
    scripted.does = lambda order: {f"{order.intent.text}.txt": "good\n" if order.feedback else "bad\n"}
    steps = (
        "name: first, run: doing, do: z\nname: write, run: doing, do: a, needs: [first]\n"
        'name: count, run: command, needs: [write], command: [sh, -c, "wc -l <a.txt >>counted"]\n'
        'name: beside, run: edit, do: "delete src/b.py"'
    )
    made = await runner.run(lane_named(steps, LANE_CHECK.format(2)))
    assert [(order.intent.text, bool(order.feedback)) for order in scripted.orders] == [
        ("z", False),
        ("a", False),
        ("a", True),
    ]
    assert "The check good failed with 1: bad" in scripted.orders[-1].feedback
    assert (made.provenance.tries, [check.passed for check in made.provenance.checks]) == (2, [True])
    assert made.provenance.usage[0].calls == 3
    assert runner.tokens == [10, 10, 10], "both tries are in one ledger"
    changed = await runner.changed(made)
    assert (changed["a.txt"], changed["src/b.py"], changed["counted"]) == ("good\n", None, "1\n1\n")


@needs_sandbox
async def test_a_check_that_never_passes_is_tried_as_often_as_said_and_shown(runner, scripted):
    scripted.does = lambda _order: {"a.txt": f"bad {len(scripted.orders)}\n"}
    made = await runner.run(lane_named("name: write, run: doing, do: a", LANE_CHECK.format(2)))
    assert (len(scripted.orders), made.provenance.tries) == (3, 3)
    assert [(check.name, check.passed) for check in made.provenance.checks] == [("good", False)]
    assert made.artifacts["check-good.log"] == b"bad 3\n"


@needs_sandbox
async def test_where_no_step_reads_a_failing_check_is_shown_at_once(runner, scripted):
    steps = 'name: a, run: command, command: [sh, -c, "echo bad >a.txt"]\n'
    made = await runner.run(lane_named(steps, LANE_CHECK.format(5)))
    assert (made.provenance.tries, [check.passed for check in made.provenance.checks]) == (1, [False])
    assert runner.progress.count("step a") == 1


@needs_sandbox
async def test_a_try_that_a_dead_worker_finished_is_adopted_with_its_logs_and_told_to_the_next(runner, scripted):
    scripted.does = lambda order: {"a.txt": "good\n" if order.feedback else "bad\n"}

    def dies(order):
        if order.feedback:
            raise TransientError("gone", "the worker died", retry_after_s=600)

    scripted.before = dies
    lane = lane_named("name: write, run: doing, do: a", LANE_CHECK.format(1))
    await fails(runner, lane, TransientError)
    assert len(scripted.orders) == 2
    scripted.before = None
    made = await runner.run(lane)
    assert (len(scripted.orders), made.provenance.tries) == (3, 2)
    assert "bad" in scripted.orders[-1].feedback, "the log of the adopted try"
    assert made.artifacts["write.transcript.jsonl"] == b"{}\n"


@needs_sandbox
async def test_tries_share_one_budget_and_what_is_there_is_shown_when_it_is_spent(runner, scripted):
    scripted.does = lambda _order: {"a.txt": f"bad {len(scripted.orders)}\n"}
    lane = lane_named("name: write, run: doing, do: a", LANE_CHECK.format(9))
    made = await runner.run(replace(lane, budget=Budget(tokens=15)))
    assert (len(scripted.orders), made.provenance.tries) == (2, 2)
    assert [check.passed for check in made.provenance.checks] == [False]
    assert [order.lane.budget.tokens for order in scripted.orders] == [15, 5]


async def test_steps_side_by_side_spend_one_budget_together(runner, scripted):
    both = asyncio.Barrier(2)

    async def meet(_order):
        async with asyncio.timeout(60):
            await both.wait()

    scripted.before = meet
    scripted.does = lambda order: {f"{order.intent.text}.txt": "x"}
    lane = lane_named("name: one, run: doing, do: a\nname: two, run: doing, do: b")
    await runner.run(replace(lane, budget=Budget(tokens=80)))
    assert [order.lane.budget.tokens for order in scripted.orders] == [35, 35]
    assert runner.tokens == [10, 10]
