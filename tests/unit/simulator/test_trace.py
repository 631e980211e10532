"""Traces: what is written is read again, and every malformed line is named."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.model.errors import UsageError
from core.scheduler.demand import WorkClass
from core.simulator.trace import Request, parse_trace, read_trace, write_trace

pytestmark = pytest.mark.queue

HEADER = "arrival_s,model,prompt_tokens,output_tokens,tenant,class,deadline_s\n"
SECONDS = st.integers(0, 10**6).map(lambda ms: ms / 1000)
WORDS = st.text("abcXYZ0189:/-._ \",'é漢", max_size=12).map(str.strip)


@st.composite
def observed(draw: st.DrawFn) -> Request:
    optional = st.none() | SECONDS
    return Request(
        draw(SECONDS), draw(WORDS), draw(st.integers(0, 10**6)), draw(st.integers(0, 10**6)), draw(WORDS),
        draw(st.sampled_from(list(WorkClass))), draw(optional), draw(WORDS), draw(optional), draw(optional),
        draw(optional),
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(observed(), min_size=1, max_size=8))
def test_a_trace_is_read_as_it_was_written(requests):
    requests = sorted(requests, key=lambda each: each.arrival_s)
    again = parse_trace(write_trace(requests), "t.csv")
    expected = [each.moved(-requests[0].arrival_s) for each in requests]
    for one, other in zip(again, expected, strict=True):
        for name in Request.__slots__:
            value = getattr(other, name)
            is_time = isinstance(value, float)
            assert getattr(one, name) == (pytest.approx(value, abs=0.0011) if is_time else value), name


def test_a_trace_starts_at_0_in_the_order_of_arrival_and_deadlines_move_along():
    requests = parse_trace(HEADER + "20,a,1,1,,bulk,30\n10,b,1,1\n", "t.csv")
    assert [(each.arrival_s, each.model, each.deadline_s) for each in requests] == [(0, "b", None), (10, "a", 20)]


def test_azures_and_mooncakes_formats_are_read(tmp_path):
    azure = tmp_path / "azure.csv.gz"
    text = (
        "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,4808,10\n2023-11-16 18:17:04.03,3180,8\n"
    )
    azure.write_bytes(gzip.compress(text.encode()))
    assert [each.prompt_tokens for each in read_trace(azure)] == [4808, 3180]
    assert read_trace(azure)[1].arrival_s == pytest.approx(0.05, abs=0.01)
    lines = [
        {"timestamp": 1000, "input_length": 7, "output_length": 2},
        {"timestamp": 4000, "input_length": 8, "output_length": 3},
    ]
    mooncake = parse_trace("\n".join(map(json.dumps, lines)), "m.jsonl")
    assert [(each.arrival_s, each.output_tokens) for each in mooncake] == [(0.0, 2), (3.0, 3)]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("x,a,1,1", "has 'x' for arrival_s; write a number"),
        ("0,a,,1", "has no prompt_tokens"),
        ("0,a,1", "has no output_tokens"),
        ("0,a,-1,1", "has '-1' for prompt_tokens; write 0 or more"),
        ("0,a,1.5,1", "has '1.5' for prompt_tokens; write a whole number of tokens"),
        ("0,a,1,1e12", "has '1e12' for output_tokens; write a number below"),
        ("nan,a,1,1", "has 'nan' for arrival_s; write a number below"),
        ("0,a,1,1,t,urgent", "has the class 'urgent'; known: chat, bulk"),
        ("0,a,1,1,t,chat,soon", "has 'soon' for deadline_s; write a number"),
        ("0,a,1,1,t,chat,inf", "has 'inf' for deadline_s"),
        pytest.param(f"0,{'9' * 200_000},1,1", "is not CSV: field larger than field limit", id="long field"),
        pytest.param(f"0,a,{'9' * 6000},1", "for prompt_tokens", id="long number"),
    ],
)
def test_a_malformed_line_is_named(line, sentence):
    text = HEADER + "0,a,1,1\n" + line + "\n"
    with pytest.raises(UsageError) as raised:
        parse_trace(text, "t.csv")
    assert raised.value.problem.message.startswith("t.csv:3 ")
    assert sentence in raised.value.problem.message
    assert len(raised.value.problem.message) < 200


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "t.csv:1 does not have the columns"),
        ("a,b\n1,2\n", "t.csv:1 does not have the columns"),
        (HEADER, "t.csv has no requests"),
        ('{"timestamp": 1}\n', "t.csv:1 has no input_length"),
        ('{"timestamp": 0, "input_length": 1, "output_length": 1}\n[1]\n', "t.csv:2 is not a JSON object"),
        pytest.param("{" * 100_000, "t.csv:1 is not JSON", id="a hundred thousand brackets"),
    ],
)
def test_what_is_no_trace_is_said_in_a_sentence(text, sentence):
    with pytest.raises(UsageError) as raised:
        parse_trace(text, "t.csv")
    assert raised.value.problem.message.startswith(sentence)


def test_a_file_that_cannot_be_read_is_said_in_a_sentence(tmp_path):
    damaged = tmp_path / "t.csv.gz"
    damaged.write_bytes(gzip.compress(HEADER.encode() * 100)[:-20])
    binary = tmp_path / "t.csv"
    binary.write_bytes(b"\xff\xfe\x00")
    for path, words in (
        (damaged, "gzip data is damaged"),
        (binary, "not UTF-8"),
        (tmp_path / "none.csv", "No such file"),
        (tmp_path, "directory"),
    ):
        with pytest.raises(UsageError) as raised:
            read_trace(path)
        assert words in raised.value.problem.message
