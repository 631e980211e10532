"""A model's answer is one JSON object of the agreed shape, or it is refused with a sentence (security.md 92)."""

from __future__ import annotations

import json

import pytest

from bot.interpret.model_answer import MAX_CHARS, BadAnswerError, read_answer
from core.model.edits import KINDS, SetKey
from tests.unit.interpret.contexts import edits, set_timeout

GOOD = json.dumps(edits(set_timeout()))


def test_a_good_answer_is_read():
    answer = read_answer(f"  {GOOD}\n")
    assert (answer.reading, answer.edits) == ("edits", (SetKey("config/app.yaml", "server.timeout", "30"),))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '"edits"',
        "I cannot help with that.",
        f"{GOOD} I hope this helps!",
        f"Here it is: {GOOD}",
        f"```json\n{GOOD}\n```",
        f"{GOOD}{GOOD}",
        '{"reading": "work", "reading": "edits"}',
        '{"reading": "work", "sure": NaN}',
        '{"reading": "work", "sure": Infinity}',
        '{"reading": "work", "lane": 9223372036854775808}',
        '{"reading": "work", "lane": ' + "9" * 100_000 + "}",
        '{"reading": "approve"}',
        '{"reading": "Work"}',
        '{"reading": null}',
        '{"lane": "code"}',
        '{"reading": "work", "approver": "ana"}',
        '{"reading": "work", "repository": "other"}',
        '{"reading": "work", "limits": {"files": 100000}}',
        '{"reading": "work", "sure": "yes"}',
        '{"reading": "work", "sure": 1}',
        '{"reading": "work", "lane": ["code"]}',
        '{"reading": "unclear", "question": ""}',
        '{"reading": "unclear", "question": "?", "options": ["a", "b", "c", "d", "e"]}',
        '{"reading": "edits"}',
        '{"reading": "edits", "edits": []}',
        '{"reading": "edits", "edits": {"kind": "delete_file", "path": "a"}}',
        "[" * 1_000_000,
        '{"edits":' * 1_000_000,
        '{"reading": "work", "lane": "\\ud800"}',
        '{"reading": "work", "lane": "\ud800"}',
        '{"reading": "work", "lane": "' + "x" * MAX_CHARS + '"}',
        '{"reading": "work", "lane": "a\\u0000"}',
        '{"reading": "work", "lane": "code\\u202e"}',
        '{"reading": "unclear", "question": "click \\u001b]8;;http://evil.example\\u0007here?"}',
        '{"reading": "work", "lane": "code\\u200b"}',
        json.dumps(edits(*[set_timeout()] * 101)),
        '{"reading": "work", "sure": 1e999}',
        "x" * 50_000_000,
    ],
    ids=lambda text: text[:40] or "nothing",
)
def test_anything_else_is_refused_with_a_sentence(text):
    with pytest.raises(BadAnswerError) as caught:
        read_answer(text)
    assert str(caught.value).endswith(".")
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "edit",
    [
        {},
        {"kind": "run_command", "command": "rm -rf /"},
        {"kind": "set_key", "path": "a.yaml"},
        set_timeout(path="/etc/passwd"),
        set_timeout(path="../x"),
        set_timeout(path=".git/config"),
        set_timeout(path="a/.GIT/hooks/x"),
        set_timeout(path="a\\b"),
        set_timeout(path="C:/x"),
        set_timeout(path="~/.ssh/id"),
        set_timeout(path="a\u200b.yaml"),
        set_timeout(path=""),
        set_timeout(key=""),
        set_timeout(key="a..b"),
        set_timeout(mode="120000"),
        set_timeout(value=None),
        set_timeout(value=30),
        set_timeout(quoted="yes"),
        {"kind": "create_file", "path": "docs/x.md", "content": "\x1b[2J"},
        {"kind": "create_file", "path": "docs/x.md", "content": "\U000e0041"},
        {"kind": "replace_text", "target": "a.md", "old": "", "new": "x"},
        {"kind": "bump_package", "package": "a b", "version": "1"},
        {"kind": "move_file", "source": "a", "target": "../a"},
        {"kind": ["set_key"], "path": "a", "key": "a", "value": "1"},
    ],
)
def test_an_edit_that_the_grammar_could_not_make_is_refused(edit):
    with pytest.raises(BadAnswerError):
        read_answer(json.dumps(edits(edit)))


def test_a_field_that_is_null_counts_as_left_out():
    answer = read_answer(json.dumps(edits(set_timeout(was=None))))
    assert answer.edits == (SetKey("config/app.yaml", "server.timeout", "30"),)


def test_options_that_do_not_fit_on_a_button_are_left_out():
    options = ["  one\n line ", "x" * 73, "one line", ""]
    answer = read_answer(json.dumps({"reading": "unclear", "question": "?", "options": options}))
    assert answer.options == ("one line",)


def test_every_kind_of_edit_can_be_said():
    said = {
        "set_key": {"path": "a.yaml", "key": "a", "value": "1"},
        "replace_text": {"target": "a.md", "old": "x", "new": ""},
        "add_line": {"path": "a.md", "line": "x"},
        "remove_line": {"path": "a.md", "containing": "x"},
        "move_file": {"source": "a.md", "target": "b.md"},
        "delete_file": {"path": "a.md"},
        "bump_package": {"package": "httpx", "version": "1.0"},
        "create_file": {"path": "a.md", "content": ""},
    }
    assert set(said) == set(KINDS)
    answer = read_answer(json.dumps(edits(*({"kind": kind, **fields} for kind, fields in said.items()))))
    assert [type(edit) for edit in answer.edits] == list(KINDS.values())
