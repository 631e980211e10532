"""Words on the command line: what changes a task and what does not (chat.md 3, 8, 17)."""

from __future__ import annotations

import pytest

from tests.homes import CliHome

STAGED = ("staged", 1)


def state_of(home: CliHome, number: int = 1) -> tuple[str, int]:
    shown = home.call("show", str(number), "--json").json()
    return shown["state"], shown["revision"]


@pytest.mark.parametrize(
    "words", ["lgtm", "👍", "approve", "Ship it!", "thanks", "I think it is great", "what about it?"]
)
def test_chat_03_words_that_ask_for_nothing_change_nothing(home_staged: CliHome, words: str) -> None:
    home = home_staged
    task = home.document("show", 1)
    said = home.call("reply", "1", words, "--as", "lee", "--wait")
    assert said.code == 2
    assert "#1 stays as it is" in said.sentence()
    assert state_of(home) == STAGED
    assert home.call("approve", "1", task["staged"]["digest"], "--as", "lee").code == 0


def test_chat_03_what_policy_refuses_changes_nothing(home: CliHome) -> None:
    home.staged()
    said = home.call("reply", "1", "delete .github/workflows/ci.yml", "--as", "ana", "--wait")
    assert said.code == 3
    assert "may not be changed in any lane" in said.sentence()
    assert state_of(home) == STAGED


def test_chat_08_a_greeting_makes_no_task(home: CliHome) -> None:
    said = home.call("ask", "good morning", "--as", "ana", "--wait")
    assert said.code == 2
    assert "asks for no change" in said.sentence()
    assert home.call("list", "--json").json() == []


def test_chat_17_waiting_needs_no_surfaces_token(home: CliHome) -> None:
    config = home.root / "countersign.yaml"
    config.write_text(config.read_text() + "\ntelegram: {chats: {}}\nslack: {team: T1AAA}\ngithub: {}\n")
    assert home.call("ask", "set server.timeout to 30 in config/app.yaml", "--as", "ana", "--wait").code == 0
    said = home.call("reply", "1", "set server.host to b in config/app.yaml", "--as", "ana", "--wait")
    assert said.code == 0, said
    assert state_of(home) == ("staged", 2)
    assert home.call("worker", "--drain").code == 0
    served = home.run("serve")
    assert served.code == 2, "who serves them needs the tokens"
    assert "has " in served.sentence()
