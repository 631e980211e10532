"""What is passed to git and what it returns: addresses, names, records, error messages."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.errors import PermanentError, TransientError
from lanes.forge.branches import check_own_branch
from lanes.repository.address import parse_address
from lanes.repository.command import VERBS, GitCommand
from lanes.repository.faults import explain, last_words
from lanes.repository.git_names import check_branch
from lanes.repository.running import GitError, GitTimeoutError
from lanes.repository.tree_comparison import parse_raw
from lanes.repository.worktree import is_git_name

pytestmark = pytest.mark.lanes


@pytest.mark.parametrize(
    ("url", "protocol", "path"),
    [
        ("/srv/git/web.git", "file", "/srv/git/web.git"),
        ("/srv/a folder/ü.git", "file", "/srv/a folder/ü.git"),
        ("file:///srv/a%20b.git", "file", "/srv/a b.git"),
        ("https://example.com/a/b.git", "https", None),
        ("https://token@example.com:8443/a/b", "https", None),
        ("http://127.0.0.1:8080/a", "http", None),
        ("http://localhost/a", "http", None),
        ("ssh://git@example.com:22/a/b.git", "ssh", None),
        ("git@example.com:a/b.git", "ssh", None),
        ("example.com:a/b.git", "ssh", None),
    ],
)
def test_addresses_that_are_let_through(url, protocol, path):
    address = parse_address(url)
    assert (address.url, address.protocol) == (url, protocol)
    assert address.path == (Path(path) if path else None)


@given(st.text(alphabet=string.ascii_letters + string.digits + "-:/@.%~ \n\\", max_size=30))
def test_no_address_is_an_option_or_a_command(url):
    try:
        address = parse_address(url)
    except PermanentError:
        return
    assert not address.url.startswith("-")
    assert "::" not in address.url or address.path is not None
    assert "\n" not in address.url
    assert address.protocol in {"file", "https", "http", "ssh"}


@pytest.mark.parametrize("branch", ["main", "release/2.1", "ünicode", "a-b_c+d", "feature/x@y"])
def test_branches_that_can_be_the_default(branch):
    assert check_branch(branch) == branch


@pytest.mark.parametrize(
    "branch",
    [
        "",
        "-x",
        "a..b",
        "@{-1}",
        "a b",
        "a~1",
        "x^",
        "x:y",
        "a*",
        "a?",
        "[x",
        "a\\b",
        "/x",
        "x/",
        "x.lock",
        "x//y",
        ".x",
        "a/.b",
        "x.",
        "a\nb",
        "@{u}",
        "x" * 300,
    ],
)
def test_branches_that_git_would_read_otherwise(branch):
    with pytest.raises(PermanentError):
        check_branch(branch)


@pytest.mark.parametrize("branch", ["countersign/1-set-x", "countersign/142-a1-b2", "countersign/7"])
def test_our_branches(branch):
    assert check_own_branch(branch) == f"refs/heads/{branch}"


@given(st.text(max_size=40))
def test_no_text_is_one_of_our_branches_by_chance(text):
    try:
        ref = check_own_branch(text)
    except PermanentError:
        return
    assert ref.startswith("refs/heads/countersign/")
    assert ref.isascii()


def test_a_raw_record_is_read_in_bytes():
    old, new = "1" * 40, "2" * 40
    raw = f":100644 100755 {old} {new} M".encode() + b"\0a\nb\xff b/c\0"
    (entry,) = parse_raw(raw)
    assert (entry.path, entry.old_mode, entry.mode, entry.old_oid, entry.oid) == (
        b"a\nb\xff b/c",
        "100644",
        "100755",
        old,
        new,
    )
    assert list(parse_raw(b"")) == []


@pytest.mark.parametrize(
    "raw", [b":100644", b":1 2 3 4 M\0", b":1 2 3 4 M\0\0", b":1 2 3 4 R100\0a\0", b"1 2 3 4 M\0a\0", b":1 2 3 M\0a\0"]
)
def test_any_other_record_is_refused(raw):
    with pytest.raises(ValueError, match=r"record|not enough values|too many values"):
        list(parse_raw(raw))


@pytest.mark.parametrize(
    "name",
    [b".git", b".GIT", b"git~1", b".git ", b".git...", b".git::$DATA", "\uff0egit".encode(), ".g\u200bit".encode()],
)
def test_names_that_some_file_system_takes_for_git(name):
    assert is_git_name(name)


@pytest.mark.parametrize("name", [b"git", b".github", b".gitignore", b".gita", b"x.git", b"\xff.git"])
def test_names_that_are_not(name):
    assert not is_git_name(name)


@pytest.mark.parametrize(
    ("err", "code", "kind"),
    [
        ("fatal: unable to access 'https://x/': Could not resolve host: x", "remote_unreachable", TransientError),
        ("fatal: unable to access 'https://x/': The URL returned error: 503", "remote_unreachable", TransientError),
        ("remote: Repository not found.\nfatal: repository 'x' not found", "no_such_repository", PermanentError),
        ("fatal: '/x' does not appear to be a git repository\nfatal: Could not read from remote repository.",
         "no_such_repository", PermanentError),
        ("fatal: Authentication failed for 'https://x/'", "no_access", PermanentError),
        ("x: Permission denied (publickey).\nfatal: Could not read from remote.", "no_access", PermanentError),
        ("fatal: could not read Username for 'https://x': terminal prompts disabled", "no_access", PermanentError),
        ("error: object 12: hasDotgit: contains '.git'\nfatal: fsck error in packed object",
         "repository_corrupt", PermanentError),
        ("error: object file ./objects/12/34 is empty\nfatal: loose object 1234 is corrupt",
         "repository_corrupt", PermanentError),
        ("fatal: write error: No space left on device", "disk_full", TransientError),
        ("error: cannot lock ref 'refs/x': Unable to create '/x.lock': File exists.", "git_locked", TransientError),
        ("fatal: detected dubious ownership in repository at '/x'", "foreign_repository", PermanentError),
        ("fatal: transport 'ext' not allowed", "bad_address", PermanentError),
        ("fatal: mismatched algorithms: client sha1; server sha256", "object_format", PermanentError),
        ("fatal: something new", "git_failed", PermanentError),
    ],
)  # fmt: skip
def test_complaints_become_what_a_person_can_do(err, code, kind):
    error = explain(GitError("fetch", 128, err), "web")
    assert (error.problem.code, type(error)) == (code, kind)
    assert "web" in error.problem.message or code == "disk_full"


def test_a_timeout_may_be_tried_again():
    assert isinstance(explain(GitTimeoutError("fetch", -9, ""), "web"), TransientError)


def test_last_words_hide_credentials_and_escapes():
    said = last_words("fatal: https://x-access-token:ghs_secret@example.com/x\n\x1b[31mred\u202e\n")
    assert "ghs_secret" not in said
    assert "\x1b" not in said
    assert "\u202e" not in said


def test_only_known_verbs_run():
    git = GitCommand(Path("/nonexistent"))
    for verb in ("config", "clone", "grep", "status", "--version", "difftool"):
        assert verb not in VERBS
        with pytest.raises(ValueError, match="not in VERBS"):
            git.run(verb)


@pytest.mark.parametrize("signal", [2, 9, 15])
def test_a_git_that_somebody_ended_is_asked_again(signal):
    error = explain(GitError("update-ref", -signal, ""), "web")
    assert isinstance(error, TransientError)
    assert error.problem.code == "git_killed"
    assert f"signal {signal}" in error.problem.message
