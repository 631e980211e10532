"""Several models as one: which is asked next, which error comes out, and when an endpoint is left in peace."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from core.model.circuit_breaker import BreakerThresholds
from core.model.errors import CountersignError, Kind, PermanentError, TransientError, UsageError
from core.model.provenance import Usage
from lanes.models import ChatMessage, ChatReply, ChatRequest, Endpoint, ModelName
from lanes.models.answering_model import Candidate, FallbackModel
from lanes.models.registry import ModelRegistry
from tests.fakes.admission import MemoryAdmission

pytestmark = pytest.mark.lanes
ASK = ChatRequest((ChatMessage("user", "hello"),))
DOWN = TransientError("model_down", "a: nobody answers", "Start it.")
BUSY = TransientError("model_busy", "b is busy", "Later.", retry_after_s=9)
MISSING = PermanentError("model_missing", "c has no model m", "Pull it.", kind=Kind.MISSING)
BABBLED = PermanentError("model_babbled", "d gave no proper answer", "Name another.")
REFUSED = PermanentError("model_refused", "e refused the question", "Ask otherwise.")
NO_TOOLS = PermanentError("model_no_tools", "f does not support tools", "Ask without.")


class Says:
    """A model that answers, or fails, always the same way."""

    def __init__(self, name: str, outcome: str | CountersignError) -> None:
        self.name, self.outcome, self.asked = name, outcome, 0

    async def ask(self, _ask: ChatRequest) -> ChatReply:
        self.asked += 1
        if isinstance(self.outcome, CountersignError):
            raise self.outcome
        return ChatReply(self.outcome, (), self.name, Usage(self.name, 1))


def chain(models: Sequence[Says], breakers: MemoryAdmission | None = None) -> FallbackModel:
    candidates = [Candidate(ModelName.parse(model.name), model) for model in models]
    return FallbackModel(candidates, breakers or MemoryAdmission())


@pytest.mark.parametrize("error", [DOWN, BUSY, MISSING, BABBLED])
async def test_the_next_is_asked_when_one_does_not_answer(error):
    models = [Says("a/m", error), Says("b/m", "hi"), Says("c/m", "no")]
    reply = await chain(models).ask(ASK)
    assert (reply.text, reply.model, [model.asked for model in models]) == ("hi", "b/m", [1, 1, 0])


@pytest.mark.parametrize("error", [REFUSED, NO_TOOLS])
async def test_what_one_refuses_no_other_is_asked(error):
    models = [Says("a/m", error), Says("b/m", "hi")]
    with pytest.raises(PermanentError) as caught:
        await chain(models).ask(ASK)
    assert caught.value is error
    assert models[1].asked == 0


async def test_the_error_of_one_alone_comes_out_as_it_is():
    with pytest.raises(TransientError) as caught:
        await chain([Says("a/m", DOWN)]).ask(ASK)
    assert caught.value is DOWN


async def test_when_none_answers_all_are_named_and_it_is_passing_if_one_is():
    with pytest.raises(TransientError) as caught:
        await chain([Says("a/m", DOWN), Says("b/m", BUSY), Says("c/m", MISSING)]).ask(ASK)
    assert caught.value.problem.code == "model_busy"
    assert caught.value.problem.message == "No model answered: a: nobody answers; b is busy; c has no model m"
    assert caught.value.retry_after_s is None
    with pytest.raises(TransientError) as caught:
        await chain([Says("b/m", BUSY), Says("c/m", MISSING)]).ask(ASK)
    assert caught.value.retry_after_s == 9
    with pytest.raises(PermanentError) as permanent:
        await chain([Says("d/m", BABBLED), Says("c/m", MISSING)]).ask(ASK)
    assert (permanent.value.problem.code, permanent.value.problem.kind) == ("model_missing", Kind.MISSING)
    assert permanent.value.problem.mend == "Pull it."


async def test_an_endpoint_that_keeps_failing_is_passed_over_then_tried_once():
    now = [0.0]
    breakers = MemoryAdmission(BreakerThresholds(failures=2, open_s=10), lambda: now[0])
    first, second = Says("a/m", DOWN), Says("b/m", "hi")
    both = chain([first, second], breakers)
    for _ in range(4):
        assert (await both.ask(ASK)).model == "b/m"
    assert first.asked == 2
    now[0], first.outcome = 10.0, "back"
    assert (await both.ask(ASK)).model == "a/m"
    assert (await both.ask(ASK)).model == "a/m"


async def test_with_all_left_in_peace_it_says_for_how_long():
    now = [0.0]
    breakers = MemoryAdmission(BreakerThresholds(failures=1, open_s=10), lambda: now[0])
    alone = Says("a/m", DOWN)
    with pytest.raises(TransientError):
        await chain([alone], breakers).ask(ASK)
    with pytest.raises(TransientError) as caught:
        await chain([alone], breakers).ask(ASK)
    assert (caught.value.retry_after_s, alone.asked) == (10, 1)
    assert caught.value.problem.message == DOWN.problem.message, "the cause, not that it is not asked"
    assert "next attempt is in 10 s" in caught.value.problem.mend


async def test_lanes_09_an_open_breaker_names_its_cause():
    now = [0.0]
    breakers = MemoryAdmission(BreakerThresholds(failures=1, open_s=2), lambda: now[0])
    busy = TransientError("model_busy", "local/m is busy (503)", "Later.", retry_after_s=10)
    with pytest.raises(TransientError):
        await chain([Says("local/m", busy)], breakers).ask(ASK)
    for name in ("local/m", "local/other"):
        with pytest.raises(TransientError) as caught:
            await chain([Says(name, "yes")], breakers).ask(ASK)
        assert caught.value.problem.sentence() == ("local/m is busy (503). The next attempt is in 10 s.")
        assert caught.value.retry_after_s == 10
    now[0] = 10
    assert (await chain([Says("local/m", "yes")], breakers).ask(ASK)).text == "yes"
    assert breakers.last_cause("local") == ""


async def test_an_endpoint_that_answers_nonsense_is_up():
    breakers = MemoryAdmission(BreakerThresholds(failures=1))
    for error in (MISSING, BABBLED, REFUSED):
        with pytest.raises(PermanentError):
            await chain([Says("a/m", error)], breakers).ask(ASK)
    assert await breakers.admit("a") is None


@pytest.mark.parametrize(
    ("names", "part"),
    [
        ([], "No model is named"),
        (["nowhere/m"], "There is no endpoint 'nowhere'"),
        (["local/"], "does not name a model"),
        (["claude/opus"], "serve agents only"),
    ],
)
def test_the_registry_refuses_what_cannot_be_asked(names, part):
    endpoints = {
        "local": Endpoint("local", "ollama", "http://127.0.0.1:1"),
        "claude": Endpoint("claude", "anthropic", "https://api.anthropic.com"),
    }
    with pytest.raises(UsageError, match=part) as caught:
        ModelRegistry(endpoints, MemoryAdmission()).model_for(names)
    assert caught.value.problem.mend


def test_the_registry_takes_lists_of_models_of_any_endpoint_that_is_asked():
    endpoints = {
        "local": Endpoint("local", "ollama", "http://127.0.0.1:1"),
        "vllm": Endpoint("vllm", "openai", "http://127.0.0.1:2/v1"),
    }
    assert ModelRegistry(endpoints, MemoryAdmission()).model_for(["local/qwen3:8b", "vllm/Qwen/Qwen3-8B"]) is not None
