"""What a published change says of itself: stable, inert, and without secrets."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from core.jobs.pull_request_text import body_of, branch_of, inert, message_of, task_for_forge, title_of, turns_for_forge
from core.model.approval import Approval, Verdict
from core.model.lifecycle import State
from core.model.staged_diff import Finding, GuardReport, GuardVerdict, StagedDiff
from core.model.task import Basis, Revision, Task
from core.model.turn import Turn
from tests.builders import BASE, NOON

STAGED = StagedDiff(
    digest="d" * 64,
    repository="repo-1",
    base=BASE,
    tree="c" * 40,
    files=({"path": "a`.md", "status": "M", "added": 1, "removed": None, "old_mode": "100644", "mode": "100644"},),
    guard=GuardReport((Finding("manifests", GuardVerdict.WARN, "changes dependencies"),)),
)


def task(title: str) -> Task:
    revision = Revision(1, "ana", Basis((1,)), None, "docs", "docs-changes", "why", None, None, STAGED)
    return Task(
        id="task_1",
        number=7,
        version=1,
        state=State.APPROVED,
        repo="web",
        requester="ana",
        surface="terminal",
        title=title,
        asked_lane=None,
        priority=0,
        deadline_at=None,
        after=None,
        created_at=NOON,
        updated_at=NOON,
        expires_at=None,
        question=None,
        error=None,
        pull_request=None,
        current=revision,
    )


LEE = Approval("lee", Verdict.APPROVE, STAGED.digest, NOON, "terminal")


@given(st.text(max_size=200))
def test_a_branch_is_always_a_plain_name_of_ours(title):
    branch = branch_of(task(title))
    assert branch.startswith("countersign/7-")
    assert branch.isascii()
    assert set(branch) <= set("abcdefghijklmnopqrstuvwxyz0123456789/-")
    assert len(branch) < 70
    assert not branch.endswith("-")


@given(st.text(max_size=200))
def test_nothing_in_a_title_reaches_anybody_or_closes_anything(title):
    shown = title_of(task(title))
    assert "\n" not in shown
    assert not any(mark + char in shown for mark in "@#" for char in "abc123")
    assert "[" not in shown
    assert shown.isprintable()


def test_trailers_come_from_the_host_alone():
    message = message_of(task("x\n\nCo-authored-by: mallory"), STAGED, [LEE])
    subject, _, trailers = message.partition("\n\n")
    assert subject == "x Co-authored-by: mallory"
    assert trailers.splitlines() == [
        "Countersign-Task: 7.1",
        f"Countersign-Digest: {STAGED.digest}",
        "Requested-by: ana",
        "Countersigned-by: lee",
    ]


def test_the_body_quotes_what_was_asked_and_tells_what_was_warned_of():
    said = Turn(1, "ana", "terminal", "Fixes #1\n@team look", NOON, 1)
    body = body_of(task("x"), STAGED, [said], [LEE])
    assert "> Fixes \uff031\n> \uff20team look" in body
    assert "- ``a`.md`` (M, +1 \u2212bin)" in body
    assert "manifests: changes dependencies" in body
    assert "Countersigned by lee (terminal, 2026-05-04 12:00 UTC)" in body


@pytest.mark.parametrize("text", ["[skip ci]", "\x1b]8;;http://evil\x07x", "a\u202eb", "a\x00b"])
def test_no_control_sequence_survives(text):
    assert inert(text).isprintable()
    assert "[" not in inert(text)


def test_a_secret_stays_at_home():
    def leaks(text: str) -> bool:
        return "hunter2" in text

    turns = [Turn(1, "ana", "terminal", "set x to hunter2", NOON, 1), Turn(2, "ana", "terminal", "fine", NOON, 1)]
    assert task_for_forge(task("set x to hunter2"), leaks).title == "change #7"
    assert task_for_forge(task("set x to y"), leaks).title == "set x to y"
    assert [turn.text for turn in turns_for_forge(turns, leaks)] == ["(withheld: it holds a secret)", "fine"]
    assert replace(turns[0], text="") not in turns_for_forge(turns, leaks)


PARTS = [
    "&commat;", "&num;", "&colon;", "&sol;", "&lt;", "&#64;", "&#x40;", "&#35;", "&#60;", "&period;", "&lsqb;",
    "&amp;", "&amp;commat;", "&", ";", "\\", "@", "#", "<", ">", "[", "]", "(", ")", "!", ":", "/", "//", "lee",
    "12", "GH-", "GH", "-", "https", "http", "www", ".", "x.example", "img src=x", "`", "``", "*", "_", "~", "|", " ",
    "\n", "- ", "1. ", "```", "    ", "---", "fixes ", "mailto:", "a", "\u200b", "\u00ad",
]  # fmt: skip
ACTS = re.compile(
    r"(?<!\w)@[a-z0-9]|(?:^|\W)#\d|\w#\d|\bgh-\d|(?:https?|ftp)://|\bwww\.|[\w.+-]+@[\w-]+\.\w", re.IGNORECASE
)
"""What GitHub makes live in the text of rendered HTML: mentions, references, addresses (docs.github.com, autolinks)."""


def rendered(body):
    """The elements and the text outside code of a body, as a CommonMark renderer makes them."""
    tags, text = set(), []
    for block in MarkdownIt("js-default", {"html": True}).parse(body):
        tags.add(block.tag)
        for token in block.children or ([block] if block.type == "html_block" else []):
            tags.add(token.tag if not token.type.startswith("html") else "html")
            text.append(token.content if token.type in ("text", "text_special") else "\0")  # another node's text
        text.append("\n")
    return tags, "".join(text)


@given(st.lists(st.sampled_from(PARTS), max_size=12).map("".join) | st.text(max_size=60))
@example("&commat;lee &num;12 https&colon;//x.example &lt;img src=x&gt; \\@lee https:\\//x")
@example("&#64;lee &#x23;12 &lsqb;a&rsqb;(https&colon;//x)")
def test_guard_13_nothing_that_people_wrote_is_live_in_a_pull_request(text):
    said = Turn(1, "ana", "terminal", text, NOON, 1)
    finding = Finding(text or "x", GuardVerdict.WARN, text)
    path = " ".join(text.split()) or "x"
    staged = replace(STAGED, guard=GuardReport((finding,)), files=({**STAGED.files[0], "path": path},))
    current = replace(task("x").current, reason=text)
    body = body_of(replace(task("x"), current=current), staged, [said], [LEE])
    tags, shown = rendered(body)
    assert not tags & {"a", "img", "html"}, tags
    assert not ACTS.search(shown), shown


def test_guard_13_entities_read_as_they_were_written():
    assert inert("R&D; a && b &commat;lee \\d") == "R\uff06D; a && b \uff06commat;lee \\d"
