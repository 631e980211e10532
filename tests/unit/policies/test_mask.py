"""Masking: the diff of a blocked change shows none of the secrets that the guard found in it (lanes.md 6)."""

from __future__ import annotations

import base64
import difflib
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.secret_files import is_secret_file
from policies.masking import mask_text
from policies.secrets import leaks_in, mask, mask_patch
from tests.unit.policies.tokens import GITHUB, GITHUB_2, KNOWN

pytestmark = pytest.mark.law

KEY = "-----BEGIN RSA PRIVATE KEY-----\n" + "\n".join("MIIEow" + "aB3" * 18 + str(n) for n in range(9))
KEY += "\n-----END RSA PRIVATE KEY-----"


def diff(before: str, after: str, path: str = "a.txt") -> bytes:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), f"a/{path}", f"b/{path}", lineterm="", n=3)
    return "\n".join([f"diff --git a/{path} b/{path}", *lines, ""]).encode()


def masked(before: str, after: str) -> str:
    return mask_patch(diff(before, after), [before.encode(), after.encode()]).decode()


@pytest.mark.parametrize("rule", sorted(KNOWN))
def test_lanes_06_every_known_secret_is_taken_out_of_a_text_and_of_a_diff(rule):
    secret = KNOWN[rule]
    text = f"before\nuse '{secret}' here\nafter\n"
    for shown in (mask(text), masked("x\n", text), masked(text, "x\n"), mask_text(f"set it to {secret} in a.yaml")):
        assert secret[8:] not in shown
        assert "[redacted: " in shown
    assert "before" in mask(text)
    assert not leaks_in(mask(text))


SPLIT = {
    "strings": f'a = "{GITHUB[:12]}" + "{GITHUB[12:]}"',
    "strings over lines": f"a = '{GITHUB[:12]}' \\\n    '{GITHUB[12:]}'",
    "three lines": f'a = ("{GITHUB[:2]}"\n     "{GITHUB[2:9]}"\n     "{GITHUB[9:]}")',
    "lines": f"{GITHUB[:20]}\n{GITHUB[20:]}",
    "comments": f"# {GITHUB[:20]}\n# {GITHUB[20:]}",
    "backslash": f"{GITHUB[:8]}\\\n{GITHUB[8:]}",
}
WRAPPED = {
    "base64": base64.b64encode(f"token={GITHUB}\n".encode()).decode(),
    "base64 over lines": base64.encodebytes(b"x" * 50 + GITHUB.encode() + b"y" * 50).decode().rstrip(),
    "hex": GITHUB.encode().hex(),
    "percent": "".join(f"%{byte:02X}" for byte in GITHUB.encode()),
    "escaped": "".join(f"\\x{byte:02x}" for byte in GITHUB.encode()),
}


@pytest.mark.parametrize("text", [*SPLIT.values(), *WRAPPED.values()], ids=[*SPLIT, *WRAPPED])
def test_lanes_06_split_and_wrapped_secrets_go_with_all_their_lines(text):
    whole = f"first\n{text}\nlast\n"
    for shown in (mask(whole), masked("first\nlast\n", whole), masked(whole, "first\nlast\n")):
        for line in text.split("\n"):
            assert line.strip("# \\'\"()") not in shown
        assert "first" in shown
        assert "last" in shown


@pytest.mark.parametrize("changed", [0, 4, 9])
def test_lanes_06_a_line_of_a_private_key_is_hidden_wherever_the_diff_cuts_it(changed):
    before = f"top\n{KEY}\nbottom\n"
    lines = before.split("\n")
    after = "\n".join([*lines[: changed + 1], "MIIEowCHANGEDCHANGED" + "xY9" * 14, *lines[changed + 2 :]])
    shown = masked(before, after)
    assert "aB3aB3" not in shown
    assert "[redacted: private-key]" in shown


def test_lanes_06_no_line_of_a_file_of_secrets_is_shown_not_even_a_removed_one():
    env = "DB_HOST=db.internal\nDB_USER=web\nPIN=4711\n"
    shown = mask_patch(diff(env, "", ".env"), [], [env.encode()]).decode()
    assert not any(line in shown for line in ("db.internal", "web", "4711"))
    assert shown.count("[redacted: a file of secrets]") == 3
    assert "--- a/.env" in shown


def test_lanes_06_the_rest_of_a_diff_stays_as_it_is():
    before, after = "a: 1\nb: 2\n", f"a: 1\nb: 3\ntoken: {GITHUB}\n\nc: 4\n"
    shown = masked(before, after)
    assert shown == diff(before, after).decode().replace(GITHUB, "[redacted: github-pat]")


def test_lanes_06_a_name_that_holds_a_secret_is_hidden_in_the_headers():
    assert GITHUB_2 not in mask_patch(diff("a\n", "b\n", f"docs/{GITHUB_2}.md"), [b"a\n", b"b\n"]).decode()


@pytest.mark.parametrize("path", [".env", "a/.env.production", "key.pem", "ID_RSA", ".ssh/config", "secrets.yaml"])
def test_lanes_06_files_of_secrets_are_known_by_name(path):
    assert is_secret_file(path)
    assert not is_secret_file("docs/environment.md")
    assert not is_secret_file(".env.example")


@given(st.text(max_size=80), st.sampled_from(sorted(KNOWN.values())), st.text(max_size=80))
def test_lanes_06_nothing_certain_stays_whatever_is_around(before, secret, after):
    assert not leaks_in(mask(f"{before} {secret} {after}"))


@given(st.text(max_size=200))
def test_lanes_06_a_text_without_secrets_is_unchanged(text):
    if not leaks_in(text):
        assert mask(text) == text
        assert mask_text(text) == text


def test_lanes_06_what_the_cheap_look_passes_over_holds_none():
    assert all(mask_text(f"a {secret} b") == mask(f"a {secret} b") for secret in KNOWN.values())
    assert mask_text(quote("set server.timeout to 30 in config/app.yaml"))
