"""Repositories as people have them: names and texts in old encodings, LFS pointers, shallow clones, strict hooks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.model.errors import Problem
from lanes.sandbox import find_bwrap
from tests.homes import FILES, CliHome, git, make_home

ODD = b"docs/caf\xe9.md".decode("utf-8", "surrogateescape")
LATIN_1 = "Größe: 5 cm\nVersion 1\n".encode("latin-1")
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 12345\n"


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> CliHome:
    """A home whose repository has a file of each odd kind."""
    files: dict[str, str | bytes] = {
        **FILES,
        ODD: "word one\n",
        "caf\udce9.yaml": "a: 1\n",
        "docs/t.txt": LATIN_1,
        "docs/u.txt": "Version 1\n".encode("utf-16"),
        "docs/model.md": POINTER,
        ".gitattributes": "docs/model.md filter=lfs diff=lfs merge=lfs -text\n",
        "docs/plain.md": "word\n",
    }
    return make_home(tmp_path_factory.mktemp("odd"), files)


def test_edits_c1_a_name_that_is_not_utf_8_near_a_typo_is_shown_escaped_and_the_task_ends(odd: CliHome):
    said = odd.run("ask", "set a to 2 in café.yaml", "--as", "ana", "--wait", "--json")
    task = said.json()
    assert (said.code, task["state"], task["queue"]) == (6, "failed", None), said
    assert r"Did you mean caf\xe9.yaml?" in task["error"]["mend"]
    assert r"caf\xe9.yaml" in odd.run("show", task["number"]).out
    assert odd.document("queue")["jobs"] == []


def test_a_name_that_is_not_utf_8_is_refused_in_a_change_and_shown_escaped_everywhere(odd: CliHome):
    said = odd.run("ask", 'replace "word one" with "term" in docs/*.md', "--as", "ana", "--wait", "--json")
    task = said.json()
    number = task["number"]
    assert (said.code, task["state"]) == (4, "refused")
    assert [file["path"] for file in task["staged"]["files"]] == [r"docs/caf\xe9.md"]
    assert r"is not valid UTF-8 (docs/caf\xe9.md)" in task["error"]["message"]
    for words in (("show", number), ("why", number), ("events", "--task", number, "--json"), ("list", "--json")):
        said = odd.call(*words)
        assert said.code == 0, said
        said.out.encode()
    assert r"caf\xe9.md" in odd.run("show", number).out
    assert "+term" in odd.call("show", number, "--diff").out


def test_edits_r14_a_text_in_latin_1_is_a_text(odd: CliHome):
    task = odd.staged('replace "Version 1" with "Version 2" in docs/t.txt')
    finding = next(found for found in task["staged"]["guard"] if found["check"] == "binaries")
    assert finding["verdict"] == "warn"
    assert "not UTF-8" in finding["detail"]
    shown = odd.run("show", task["number"])
    assert "+ Version 2" in shown.out
    assert r"Gr\xf6\xdfe" in shown.out
    assert task["staged"]["files"][0]["added"] == 1
    done = odd.document("approve", task["number"], task["staged"]["digest"], "--as", "lee", "--wait")
    assert done["state"] == "published"
    stored = odd.git("rev-parse", f"{done['pull_request']['head']}:docs/t.txt")
    assert odd.git("cat-file", "-s", stored) == str(len(LATIN_1))


@pytest.mark.parametrize(
    ("request_text", "part"),
    [
        ('add the line "Länge" to docs/t.txt', "is not UTF-8"),
        ('replace "Version 1" with "Version 2" in docs/u.txt', "UTF-16"),
        ('replace "12345" with "1" in docs/model.md', "Git LFS pointer"),
        ('add the line "x" to docs/model.md', "Git LFS pointer"),
    ],
)
def test_what_could_not_be_read_afterwards_is_refused_with_a_sentence(odd: CliHome, request_text: str, part: str):
    said = odd.call("ask", request_text, "--as", "ana", "--wait")
    assert said.code == 1, said
    assert part in said.err


def test_a_pointer_is_moved_and_deleted_like_any_file(odd: CliHome):
    task = odd.staged("move docs/model.md to docs/old/model.md")
    assert {file["path"] for file in task["staged"]["files"]} == {"docs/model.md", "docs/old/model.md"}


@pytest.mark.sandbox
def test_a_pointer_that_a_lane_writes_or_replaces_does_not_fool_the_guard(odd: CliHome):
    if isinstance(find_bwrap(), Problem):
        pytest.skip("needs a sandbox: install the Debian package bubblewrap")
    pointer = POINTER.replace(b"12345", b"9").decode()
    odd.scripted(f"open('docs/model.md','w').write({pointer!r})", name="points", write='["docs/**"]')
    said = odd.call("ask", "run it", "--lane", "points", "--as", "ana", "--wait", "--json")
    assert said.code == 4, said
    assert "is a Git LFS pointer" in json.dumps(said.json())
    odd.scripted("open('docs/model.md','w').write('weights')", name="weighs", write='["docs/**"]')
    said = odd.call("ask", "run it", "--lane", "weighs", "--as", "ana", "--wait", "--json")
    assert "was a Git LFS pointer" in json.dumps(said.json()), said


def test_a_shallow_clone_as_the_source_is_worked_on_and_says_why_it_takes_nothing(tmp_path: Path):
    deep = make_home(tmp_path / "deep")
    deep.commit({"src/b.py": "1\n"})
    shallow = tmp_path / "shallow.git"
    git(tmp_path, "clone", "-q", "--bare", "--depth", "1", f"file://{deep.bare}", str(shallow))
    home = CliHome(tmp_path / "home")
    people = ("--person", "ana:member", "--person", "lee:maintainer")
    home.folder.mkdir()
    assert home.call("init", "--repo", f"web={shallow}", *people).code == 0
    task = home.staged()
    done = home.document("approve", task["number"], task["staged"]["digest"], "--as", "lee", "--wait")
    assert done["state"] == "published"
    merged = home.document("merge", task["number"], "--as", "lee")
    assert merged["state"] == "merged"
    assert git(shallow, "show", "main:config/app.yaml").count("timeout: 30") == 1


HOOKS = {
    "a hook there declined it": "echo 'Please write the ticket in the branch name.' >&2\nexit 1\n",
    "its rules protect this branch": (
        "echo 'error: GH006: Protected branch update failed for refs/heads/countersign/x.' >&2\n"
        "echo 'error: Changes must be made through a pull request.' >&2\nexit 1\n"
    ),
    "Countersign may not push to it": "echo 'GitLab: You are not allowed to push code to this project.' >&2\nexit 1\n",
}


@pytest.mark.parametrize("reason", HOOKS)
def test_a_push_that_is_refused_says_why_in_plain_words(template_home: CliHome, home: CliHome, reason: str):
    hook = home.bare / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\n{HOOKS[reason]}")
    hook.chmod(0o755)
    task = home.staged()
    said = home.call("approve", task["number"], task["staged"]["digest"], "--as", "lee", "--wait", "--json")
    error = said.json()["error"]
    assert (said.code, error["code"]) == (1, "push_refused")
    assert reason in error["message"]
    assert f"refused the branch countersign/{task['number']}-" in error["message"]
    for raw in ("refs/", "[remote rejected]", "!\t", task["staged"]["base"], "remote:"):
        assert raw not in error["message"]
    if "hook" in reason:
        assert "“Please write the ticket in the branch name.”" in error["message"]
    assert error["mend"]
