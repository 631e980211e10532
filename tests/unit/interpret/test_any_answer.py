"""Whatever a model answers: no exception, no edit that `core.model.edits` cannot hold, no lane that was not offered."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bot.interpret.grammar.tokens import hidden_text_warning
from bot.interpret.model_interpreter import MAX_ASKS, ModelInterpreter
from core.model.edits import KINDS, from_json, paths_named, to_json
from core.model.intent import Intent, Unclear
from core.model.repository_path import check_path
from tests.fakes.scripted import NAME, ScriptedModel
from tests.unit.interpret import contexts
from tests.unit.interpret.contexts import VAGUE, context, turns

words = st.text(max_size=20) | st.sampled_from(
    [
        "code",
        "config",
        "deploy",
        "",
        "config/app.yaml",
        "docs/guide.md",
        "../x",
        "/etc/passwd",
        ".git/config",
        "a.b",
        "*",
    ]
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=15,
)
FIELDS = ("path", "key", "value", "quoted", "was", "new", "target", "old", "line", "heading", "containing", "every",
          "source", "package", "version", "exact", "content", "approver")  # fmt: skip
an_edit = st.fixed_dictionaries(
    {"kind": st.sampled_from([*KINDS, "run"])}, optional=dict.fromkeys(FIELDS, words | st.booleans() | anything)
)


@st.composite
def whole_edits(draw: st.DrawFn) -> dict[str, Any]:
    """An edit that mostly has what its kind needs."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    names = KINDS[kind].__dataclass_fields__
    texts = {name: draw(words) for name, field in names.items() if str(field.type) == "str"}
    return {"kind": kind, **texts}


near = st.fixed_dictionaries(
    {"reading": st.sampled_from(["edits", "work", "unclear", "approve"])},
    optional={
        "sure": st.booleans() | anything,
        "lane": words,
        "edits": st.lists(whole_edits() | an_edit, max_size=4) | anything,
        "question": words,
        "options": st.lists(words, max_size=5),
        "limits": anything,
    },
)
answers = st.one_of(
    near.map(json.dumps),
    anything.map(json.dumps),
    st.text(max_size=200),
    st.tuples(near.map(json.dumps), st.text(max_size=20)).map("".join),
    st.text(alphabet='[]{}",:0123456789eE.-+truefalsnuN\\', max_size=60),
)


@given(st.lists(answers, min_size=1, max_size=3), st.sampled_from([contexts.ALL, contexts.BY_RULE, (contexts.CODE,)]))
async def test_no_answer_of_a_model_gets_beyond_what_is_on_offer(said, offers):
    model = ScriptedModel(list(said))
    found = await ModelInterpreter(model).interpret(turns(VAGUE), context(offers))
    assert 1 <= len(model.asks) <= MAX_ASKS
    if isinstance(found, Unclear):
        assert found.reason
        assert len(found.options) <= 4
        assert not any(hidden_text_warning(option) for option in found.options)
        return
    assert isinstance(found, Intent)
    assert (found.text, found.read_by) == (VAGUE, NAME)
    assert found.lane is None or found.lane in {offer.lane for offer in offers}
    assert (found.revert_of, found.pick) == (None, None)
    assert found.edits or any(offer.reads for offer in offers)
    for edit in found.edits:
        assert from_json(to_json(edit)) == edit
        assert not any(hidden_text_warning(text) for text in to_json(edit).values() if isinstance(text, str))
        for path in paths_named(edit):
            check_path(path)
    assert Intent.from_json(json.loads(json.dumps(found.to_json()))) == found
