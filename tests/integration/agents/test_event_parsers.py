"""Parsers of the programs' output, with recorded lines of the real programs and with forged lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.model.lane import AgentCli
from lanes.agent_clis import ADAPTERS
from lanes.agent_clis.adapter import FILE_MARK, AgentPrompt, AgentReport
from lanes.agent_clis.generic import described_adapter
from lanes.agent_clis.stream_lines import StreamLines, sanitize
from tests.integration.agents.conftest import known

pytestmark = pytest.mark.lanes


def hear(ear: Any, *said: dict[str, Any] | bytes) -> AgentReport:
    for one in said:
        ear.feed(one if isinstance(one, bytes) else json.dumps(one).encode())
    heard: AgentReport = ear.report()
    return heard


RESULT = {"type": "result", "subtype": "success", "is_error": False, "result": "All done.", "total_cost_usd": 0.25}


@pytest.mark.parametrize(
    ("name", "said", "words", "ended", "why"),
    [
        ("claude-code", [RESULT], "All done.", True, ""),
        ("claude-code", [{**RESULT, "is_error": True, "result": "API Error"}], "API Error", False, "API Error"),
        ("claude-code", [{**RESULT, "subtype": "error_max_turns", "result": None}], "", False, "error_max_turns"),
        ("claude-code", [{"type": "assistant", "message": {"content": [{"type": "text", "text": "Hm"}]}}], "Hm", False,
         ""),
        ("claude-code", [{**RESULT, "is_error": "no"}], "All done.", False, "All done."),
        ("claude-code", [{"type": "result"}], "", False, "an error"),
        ("codex", [{"type": "item.completed", "item": {"type": "agent_message", "text": "Ok"}},
                   {"type": "turn.completed"}], "Ok", True, ""),
        ("codex", [{"type": "error", "message": "Reconnecting"}, {"type": "turn.completed"}], "", True, ""),
        ("codex", [{"type": "turn.completed"}, {"type": "turn.failed", "error": {"message": "no"}}], "", False, "no"),
        ("codex", [{"type": "thread.started"}], "", False, ""),
        ("opencode", [{"type": "text", "part": {"text": "Ok"}}, {"type": "step_finish", "part": {"reason": "stop"}}],
         "Ok", True, ""),
        ("opencode", [{"type": "step_finish", "part": {"reason": "tool-calls"}}, b"killed"], "", False, ""),
        ("opencode", [{"type": "error", "error": {"name": "APIError", "data": {"message": "no"}}}], "", False, "no"),
        ("gemini-cli", [{"type": "message", "role": "assistant", "content": "O"},
                        {"type": "message", "role": "assistant", "content": "k"},
                        {"type": "result", "status": "success"}], "Ok", True, ""),
        ("gemini-cli", [{"type": "result", "status": "error", "error": {"message": "no"}}], "", False, "no"),
        ("aider", [b"Aider v1", b"litellm.APIError: no"], "Aider v1 / litellm.APIError: no", None,
         "Aider v1 / litellm.APIError: no"),
    ],
)  # fmt: skip
def test_how_a_program_ended_is_read_from_its_last_events(name, said, words, ended, why):
    heard = hear(known(name).new_parser(), *said)
    assert (heard.last_message, heard.succeeded, heard.error) == (words, ended, why)


RECORDED = Path(__file__).with_name("recorded")
"""What the programs said in a run that wrote one file, as it came out of the sandbox."""


@pytest.mark.parametrize(
    ("name", "words", "ended", "usd"),
    [("claude-code.jsonl", "All done.", True, 0.002005), ("codex.jsonl", "All done.", True, None),
     ("opencode.jsonl", "All done.", True, None), ("gemini-cli.jsonl", "All done.", True, None),
     ("aider.txt", "src/new.txt / Applied edit to src/new.txt", None, None)],
)  # fmt: skip
def test_what_real_programs_said_is_understood(name, words, ended, usd):
    lines = (RECORDED / name).read_bytes().splitlines()
    heard = hear(known(name.partition(".")[0]).new_parser(), *lines)
    assert (heard.last_message, heard.succeeded, heard.cost_usd, heard.denied_tools) == (words, ended, usd, ())
    if name.endswith(".jsonl"):
        cut = hear(known(name.partition(".")[0]).new_parser(), *lines[:-1])
        assert cut.succeeded is False, "without its last event nothing is proven"


def test_what_opencode_and_aider_say_of_money():
    dear = (RECORDED / "opencode.jsonl").read_bytes().replace(b'"cost":0}', b'"cost":0.25}').splitlines()
    assert hear(known("opencode").new_parser(), *dear).cost_usd == 0.5
    told = "Tokens: 1.2k sent, 20 received. Cost: ${} message, ${} session."
    assert hear(known("aider").new_parser(), told.format("0.0010", "0.02").encode()).cost_usd == 0.02
    for odd in ("", "1e9", "-1", "٣", "9" * 9):
        assert hear(known("aider").new_parser(), told.format("0.1", odd).encode()).cost_usd is None


def test_what_claude_was_denied_and_what_it_cost():
    heard = hear(known("claude-code").new_parser(), {**RESULT, "permission_denials": [{"tool_name": "Write"}, 3]})
    assert heard.denied_tools == ("Write", "")
    assert heard.cost_usd == 0.25
    for odd in (-1, True, "1", 1e300, None):
        assert hear(known("claude-code").new_parser(), {**RESULT, "total_cost_usd": odd}).cost_usd is None


def trajectory(status: str, **others: Any) -> bytes:
    messages = [{"role": "assistant", "content": "Ok"}, {"role": "assistant", "content": None}]
    return json.dumps(
        {"info": {"exit_status": status, "model_stats": {"instance_cost": 0.5}}, "messages": messages, **others}
    ).encode()


def test_mini_swe_agent_is_read_from_its_trajectory():
    heard = hear(known("mini-swe-agent").new_parser(), b"hello", FILE_MARK, trajectory("Submitted"))
    assert heard == AgentReport("Ok", True, "", (), 0.5)
    assert (
        hear(known("mini-swe-agent").new_parser(), b"x", FILE_MARK, trajectory("LimitsExceeded")).error
        == "LimitsExceeded x"
    )
    assert hear(known("mini-swe-agent").new_parser(), b"Traceback", FILE_MARK, b"").succeeded is False
    lie = hear(
        known("mini-swe-agent").new_parser(), FILE_MARK, trajectory("Submitted"), FILE_MARK, trajectory("Timeout")
    )
    assert lie.succeeded is False, "what stands before the last mark may be anybody's"


NASTY = [b"", b"{", b"[]", b"null", b"{}", b"\xff\xfe", b'{"type": {}}', b'{"type": "result"}', b'{"type": ["x"]}',
         b"[" * 99999, b'{"a":' * 99999,
         b'{"type": "assistant", "message": {"content": 3}}', b'{"type": "assistant", "message": {"content": [3]}}',
         b'{"type": "item.completed", "item": []}', b'{"type": "text", "part": "x"}', b'{"type": "error", "error": 3}',
         b'{"type": "result", "permission_denials": {"a": 1}}', b'{"messages": 3}', b'{"messages": [3], "info": []}',
         b'{"type": "message", "role": "assistant", "content": {"a": 1}}', FILE_MARK]  # fmt: skip


@pytest.mark.parametrize("cli", ADAPTERS, ids=lambda cli: cli.name)
def test_no_words_of_a_program_break_its_ear(cli):
    for line in NASTY:
        ear = cli.new_parser()
        assert isinstance(hear(ear, line), AgentReport)
        assert isinstance(hear(ear, *NASTY, line), AgentReport)


def test_lines_come_whole_however_they_are_cut_and_one_without_end_is_dropped():
    got: list[bytes] = []
    lines = StreamLines(got.append)
    for chunk in (b"a", b"b\nc\r\n", b"\n", b"x" * (17 * 1024 * 1024), b"y\nlast"):
        lines.add(chunk)
    lines.end()
    assert got == [b"ab", b"c", b"", b"last"]


@pytest.mark.parametrize(
    ("success", "said", "ended"),
    [("status=ok", [{"status": "ok"}], True), ("status=ok", [{"status": "ok"}, {"status": "bad"}], False),
     ("status=ok", [{"x": 1}], False), ("done=true", [{"done": True}], True), ("code=0", [{"code": 0}], True),
     ("", [{"status": "ok"}], None), ("status=ok", [b"{", b"x"], False)],
)  # fmt: skip
def test_a_described_program_is_judged_by_the_value_its_file_names(success, said, ended):
    cli = described_adapter(AgentCli(("tool", "{task}"), events="jsonl", success=success))
    assert hear(cli.new_parser(), *said).succeeded is ended


def test_a_described_program_gets_what_its_file_says_and_no_word_of_the_task_is_read_as_more():
    agent = AgentCli(
        ("tool", "--do={task}", "-m", "{model}", "{url}/v1"),
        environment=(("URL", "{url}"),),
        home=((".t/c", "m={model}"),),
    )
    call = described_adapter(agent).build_command(AgentPrompt("x {model} {task}", "m"))
    assert call.args == ("--do=x {model} {task}", "-m", "m", "http://127.0.0.1:8091/v1")
    assert call.environment == {"URL": "http://127.0.0.1:8091"}
    assert call.home == {".t/c": b"m=m"}


def test_what_is_kept_holds_no_key_and_nothing_that_a_terminal_obeys():
    key, other = "sk-canary-0123456789abcdef", "ghp_" + "a" * 36
    said = json.dumps({"a": f"{key} {other}"}) + "\n\x1b]0;x\x07\x9b31m\u202eabc\u200b\tq\udcff\U000e0041\r\n"
    kept = sanitize(said, key)
    assert (
        kept == '{"a": "[key] [redacted]"}\n\\u001b]0;x\\u0007\\u009b31m\\u202eabc\\u200b\tq\\udcff\\udb40\\udc41\\r\n'
    )
    assert sanitize(kept, key) == kept
    assert json.loads(sanitize('{"a": "\u202e"}', None)) == {"a": "\u202e"}, "an event stays one, with the same meaning"
