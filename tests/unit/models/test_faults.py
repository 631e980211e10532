"""What faults say, and what they never say; and text that any database takes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.model.errors import PermanentError, TransientError
from core.strict_json import NotJsonError
from lanes.models import Endpoint
from lanes.models.answer_stream import storable, storable_arguments
from lanes.models.faults import FaultOrigin, missing_model_error, status_error, unreadable_answer_error
from lanes.models.http_transport import _parse_retry_after

pytestmark = pytest.mark.lanes
KEY = "sk-live-7Jq2Zr9XwB4m"
HERE = Endpoint("local", "ollama", "http://127.0.0.1:11434", key=KEY)
STATUSES = st.sampled_from([301, 400, 401, 403, 404, 413, 418, 429, 500, 502, 503, 504])


@given(STATUSES, st.text(max_size=40), st.integers(0, 60), st.text(max_size=40))
def test_a_fault_never_repeats_the_prompt(status, before, start, after):
    prompt = "Ana's plan: move the whole of config/production.yaml to the new cluster on Friday, before anyone looks."
    told = before + prompt[start : start + 30] + after
    said = str(status_error(FaultOrigin(HERE, "qwen3:8b", (prompt,)), status, told))
    assert not any(prompt[n : n + 16] in said for n in range(len(prompt) - 15))


@given(STATUSES, st.text(max_size=40), st.integers(0, 12), st.text(max_size=40))
@example(401, "Incorrect API key provided: ", 0, "***")
def test_a_fault_never_repeats_the_key_nor_a_part_of_it(status, before, start, after):
    said = str(status_error(FaultOrigin(HERE, "qwen3:8b"), status, before + KEY[start : start + 8] + after))
    assert KEY[start : start + 8] not in said


@given(STATUSES, st.text(max_size=400))
def test_a_fault_is_one_plain_line_with_a_mend(status, words):
    error = status_error(FaultOrigin(HERE, "qwen3:8b"), status, words)
    assert isinstance(error, TransientError | PermanentError)
    assert error.problem.mend
    assert str(error).isprintable()
    assert len(str(error)) < 500


def test_what_the_server_says_is_quoted_when_it_tells_no_secret():
    said = status_error(FaultOrigin(HERE, "qwen3:8b", ("hello",)), 500, "model requires more system memory (9 GiB)")
    assert said.problem.message == (
        'local/qwen3:8b failed with status 500: it answered "model requires more system memory (9 GiB)"'
    )


@given(st.text(st.characters(), max_size=50) | st.sampled_from(["\ud800", "a\0b", "\udc00\ud800", "\ud83d\ude00"]))
def test_text_can_be_stored_and_stays_as_it_is_where_it_could_be(text):
    kept = storable(text)
    assert kept.encode().decode() == kept
    assert "\0" not in kept
    assert storable(kept) == kept
    if "\0" not in text and not any(0xD800 <= ord(char) <= 0xDFFF for char in text):
        assert kept == text


@given(
    st.dictionaries(
        st.text(),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
            max_leaves=10,
        ),
        max_size=4,
    )
)
def test_arguments_can_be_stored_or_are_refused(arguments):
    try:
        kept = storable_arguments(arguments)
    except NotJsonError:
        kept = {}
    assert json.loads(json.dumps(kept, allow_nan=False)) == kept


def test_arguments_nested_beyond_reason_are_refused():
    deep: object = "x"
    for _ in range(1000):
        deep = [deep]
    with pytest.raises(NotJsonError, match="deep"):
        storable_arguments({"path": deep})


@pytest.mark.parametrize(
    ("said", "wait_s"),
    [("", None), ("7", 7), ("0", 0), ("99999999", 3600), ("soon", None), ("-5", None), ("1.5", None)],
)
def test_retry_after_is_read_in_seconds(said, wait_s):
    assert _parse_retry_after(said) == wait_s


def test_retry_after_is_read_as_a_date():
    assert _parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    later = _parse_retry_after(format_datetime(datetime.now(UTC) + timedelta(seconds=600), usegmt=True))
    assert later is not None
    assert 300 < later <= 601


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (json.JSONDecodeError("x", "y", 0), "the server sent something that is not JSON"),
        (KeyError("x"), "the server sent JSON that does not follow its protocol"),
    ],
)
def test_lanes_13_what_is_not_an_answer_is_called_what_it_is(error, said):
    assert unreadable_answer_error(FaultOrigin(HERE, "qwen3:8b"), error).problem.message.endswith(said)


def test_lanes_13_whoever_asks_is_told_to_ask_their_operator():
    assert (
        missing_model_error(FaultOrigin(HERE, "qwen3:8b", ("hello",))).problem.mend == "Ask your operator to pull it."
    )
    assert (
        str(missing_model_error(FaultOrigin(HERE, "qwen3:8b")).problem.mend)
        == "Pull it with `countersign models pull local/qwen3:8b`."
    )
