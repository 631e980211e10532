"""The commands accounts and passkeys: passwords come by standard input, and never on the command line."""

from __future__ import annotations

import subprocess

import pytest

from tests.homes import SCRIPT

pytestmark = [pytest.mark.window]

PASSWORD = "four words never together"


def accounts(home, *args: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command with `typed` on its standard input."""
    argv = [str(SCRIPT), "--home", str(home.root), "accounts", *args]
    return subprocess.run(argv, input=typed, capture_output=True, text=True, timeout=120, check=False)


def test_an_account_is_added_listed_changed_and_removed(home):
    assert home.document("accounts", "list") == []
    assert accounts(home, "add", "lee", typed=f"{PASSWORD}\n").returncode == 0
    assert [row["person"] for row in home.document("accounts", "list")] == ["lee"]
    again = accounts(home, "add", "lee", typed=f"{PASSWORD}\n")
    assert (again.returncode, "set-password lee" in again.stderr) == (5, True)
    assert accounts(home, "set-password", "lee", typed=f"{PASSWORD} now\n").returncode == 0
    assert accounts(home, "remove", "lee").returncode == 0
    assert accounts(home, "remove", "lee").returncode == 6


def test_a_password_that_is_missing_weak_or_on_the_command_line_is_refused(home):
    for args, typed in ((("add", "lee"), ""), (("add", "lee"), "short\n"), (("add", "lee", PASSWORD), "")):
        said = accounts(home, *args, typed=typed)
        assert said.returncode == 2, said
        assert "Traceback" not in said.stderr
    assert home.document("accounts", "list") == []


def test_passkeys_are_listed_and_removed_from_the_terminal(home):
    assert home.document("passkeys", "list") == []
    assert "People add them in a browser" in home.call("passkeys", "list").out
    assert home.document("passkeys", "revoke", "pk_x", code=6)["error"]["code"] == "no_such_passkey"


@pytest.mark.parametrize("content", ["", "[]", '{"passkeys": 1}', '{"passkeys": [{}]}', '{"passkeys": []}', "\x00"])
def test_a_file_that_holds_no_passkeys_proves_nothing(home_staged, tmp_path, content):
    path = tmp_path / "keys.json"
    path.write_text(content)
    said = home_staged.call("verify", 1, "--passkey", path)
    assert said.code == 2
    assert said.sentence()
