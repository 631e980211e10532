"""What `policy explain` says of a request is what the plan job makes of it."""

from __future__ import annotations

from typing import cast

import pytest

from bot.interpret import GrammarInterpreter
from core.model.decision import Effect
from core.model.intent import Intent
from core.model.turn import Actor
from core.ports.repository import Repository
from core.rules.planning import RequestOrigin
from core.services.request_preview import RequestPreview
from tests.integration.interpret.conftest import InterpreterHarness

pytestmark = pytest.mark.law

TEXTS = {
    "docs": 'create docs/x.md with "a"',
    "config": 'create config/x.yaml with "a: 1"',
    "two lanes": 'create docs/x.md with "a"; create config/x.yaml with "a: 1"',
    "the rest": 'create src/x.py with "1"',
    "one lane of maintainers": 'create deploy/x with "1"',
    "protected": 'create .github/workflows/x.yml with "a"',
}


@pytest.mark.parametrize("lane", [None, "docs", "deploy"])
async def test_the_plan_job_makes_of_a_request_what_explain_says_of_it(
    harness: InterpreterHarness, lane: str | None
) -> None:
    repository = cast("Repository", harness.repository)
    preview = RequestPreview(
        harness.database, lambda: harness.settings, harness.all_executors, lambda _name: repository
    )
    outcomes = set()
    for person, surface in (("ana", "terminal"), ("lee", "slack")):
        for name, text in TEXTS.items():
            origin = RequestOrigin(person, surface, "web", lane)
            intent = await preview.read(origin, text, GrammarInterpreter())
            assert isinstance(intent, Intent), text
            plan = await preview.plan(origin, intent)
            number = await harness.ask(text, actor=Actor(person, surface), lane=lane)
            await harness.drain()
            task = await harness.task(number)
            outcomes.add(plan.decision.effect)
            if plan.question is not None:
                assert task.question == plan.question, name
                continue
            current, decision = task.current, plan.decision
            assert (current.lane, current.rule, current.reason) == (decision.lane, decision.rule, decision.reason), name
            assert current.requirements == plan.requirements, name
            assert current.policy_digest == decision.policy_digest, name
            assert task.error == (plan.problem.about(number) if plan.problem else None), name
    assert {Effect.ALLOW, Effect.DENY} <= outcomes
