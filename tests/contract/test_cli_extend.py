"""`countersign extend`: its exit codes, and what it says where there is nothing to extend."""

from __future__ import annotations

import pytest

from tests.homes import CliHome

pytestmark = pytest.mark.queue


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("extend", "99"), 6, "there is no task #99"),
        (("extend", "1"), 5, "so it cannot be given more budget"),
        (("extend", "1", "--tokens", "0"), 2, "--tokens"),
        (("extend", "1", "--usd", "-1"), 2, "--usd"),
        (("extend", "1", "--steps", "many"), 2, "--steps"),
        (("ask", "set a to 1 in config/app.yaml", "--as", "ana", "--if-failed", "run"), 2, "--after"),
    ],
)
def test_what_cannot_be_extended_is_told_in_a_sentence(home: CliHome, words, code, said):
    home.call("ask", "set server.timeout to 30 in config/app.yaml", "--as", "ana")
    told = home.call(*words)
    assert told.code == code, told
    assert said in told.err
