"""Cards as comments at GitHub: what they say, that nothing in them acts but ours, and that they fit."""

# ruff: noqa: RUF001 - the cards have a real minus

from __future__ import annotations

import copy
import json
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bot.cards.build import build_card
from bot.cards.diff import read_diff
from bot.surfaces.github.card import render_github_comment
from bot.surfaces.github.markdown import (
    MAX_CHARACTERS,
    code_block,
    code_span,
    escape_paragraphs,
    escape_prose,
)
from bot.surfaces.utf16 import utf16_length
from tests.counterparts import package
from tests.unit.cards import documents as docs
from tests.unit.cards.documents import NOW
from tests.unit.cards.naughty import NAUGHTY
from tests.unit.core import test_publication as bodies

pytestmark = pytest.mark.surfaces

ACTS = [
    "@org/team",
    "@ana",
    "Fixes #1",
    "closes org/repo#1, GH-1",
    "JIRA-12",
    "deadbeef deadbeefdeadbeefdeadbeefdeadbeefdeadbeef",
    "https://evil.example/?q=1",
    "www.evil.example",
    "mailto:a@b.c",
    "![x](https://evil.example/x.png)",
    "[x](https://evil.example)",
    "[x]: https://evil.example",
    "<img src=x onerror=y>",
    "<!-- hidden -->",
    "<!-- countersign:task:1 -->",
    "<details><summary>x</summary>",
    "</details>",
    "- [x] done",
    "* [ ] todo",
    "`code`",
    "``a` b",
    "```",
    "~~~",
    "``` diff\n+x\n```",
    "a|b|c",
    "|-|-|",
    "# heading",
    "1. one",
    "---",
    "===",
    "> quote",
    "**bold** _it_ ~~no~~",
    ":shipit: :+1:",
    "$x$ $`x`$ $$x$$",
    "&lt;b&gt; &#64;org &commat;org",
    "\\@org \\",
    "[^1]",
    "risk: low · needs 0 of nobody",
    "`" * 300,
    "` " * 300,
    "@" * 500,
    "a" * 39 + " " + "b" * 5000,
]
TEXT = st.one_of(
    st.sampled_from(ACTS), st.sampled_from(NAUGHTY), st.text(max_size=80), st.text("`@#[]()<>!-| a1\\", max_size=40)
)


def parsed(text):
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)


def plain_words(tokens):
    """The words that GitHub would look through for mentions, references and links."""
    for token in tokens:
        yield from plain_words(token.children or ())
        if token.type == "text":
            yield token.content


REFERENCE = re.compile(
    r"@[\w-]|#\d|\bGH-\d|\b[A-Za-z]+-\d|\b[0-9a-f]{7,40}\b|https?:|www\.|:[\w+-]+:|\$", re.IGNORECASE | re.ASCII
)
OURS = {
    *("heading_open", "heading_close", "paragraph_open", "paragraph_close", "bullet_list_open", "bullet_list_close"),
    *("list_item_open", "list_item_close", "blockquote_open", "blockquote_close", "inline", "fence", "html_block"),
    *("text", "code_inline", "strong_open", "strong_close", "hardbreak", "softbreak"),
}


def check_inert(text):
    """No construct but the few that we make, and no word that GitHub would make a reference of."""
    tokens = parsed(text)
    flat = [child for token in tokens for child in (token, *(token.children or ()))]
    assert {token.type for token in flat} <= OURS
    html = [token.content for token in flat if token.type == "html_block"]
    assert [re.sub(r"\d+", "N", line.strip()) for line in html] == [
        "<!-- countersign:task:N -->",
        "<!-- countersign:revision:N -->",
    ]
    assert [word for word in plain_words(tokens) if REFERENCE.search(word)] == []
    return tokens


@given(TEXT)
@settings(max_examples=400)
def test_prose_has_only_words_and_code(text):
    shown = escape_prose(text)
    assert "\n" not in shown
    tokens = parsed(f"x {shown} x")
    kinds = {child.type for token in tokens for child in token.children or ()}
    assert kinds <= {"text", "code_inline"}
    assert [word for word in plain_words(tokens) if REFERENCE.search(word)] == []


@given(TEXT)
@settings(max_examples=300)
def test_prose_alone_on_a_line_is_one_paragraph(text):
    tokens = parsed(escape_paragraphs(text))
    flat = {child.type for token in tokens for child in (token, *(token.children or ()))}
    assert flat <= {"paragraph_open", "paragraph_close", "inline", "text", "code_inline", "hardbreak"}


@given(TEXT)
@settings(max_examples=300)
def test_code_is_one_span_with_all_of_the_text(text):
    (_, inline, _) = parsed(f"x {code_span(text, 10_000)} x")
    kinds = [child.type for child in inline.children]
    assert kinds in (["text", "code_inline", "text"], ["text"])


@given(st.lists(TEXT, max_size=5))
@settings(max_examples=300)
def test_a_fence_holds_whatever_is_in_it(lines):
    (token,) = parsed(code_block(lines))
    assert token.type == "fence"
    assert token.content.count("\n") == max(1, len(lines))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Fix the install steps", "Fix the install steps"),
        ("ask @org/team, it Fixes #1.", "ask `@org/team`, it Fixes `#1`."),
        ("docs/a.md: not among the lane's paths", "`docs/a.md`: not among the lane's paths"),
        ("see `countersign show`; then go", "see `countersign show`; then go"),
        ("queue 2, ~4 min", "queue 2, ~4 min"),
        ("tick ` twice ``", "tick `` ` `` twice ``` `` ```"),
        ("- x", "`-` x"),
        ("", ""),
    ],
)
def test_words_stay_words(text, shown):
    assert escape_prose(text) == shown


def test_the_card_names_what_to_write():
    text = render_github_comment(build_card(docs.staged(), now=NOW), whole(docs.DIFF)).text
    assert text.startswith(
        "<!-- countersign:task:142 -->\n<!-- countersign:revision:1 -->\n\n### ⏳ task 142 · docs · "
    )
    assert "`/approve 142 9c1e04ab77d2e85b1f36`" in text
    assert "**needs 1 of lee, docs-team**" in text
    assert "risk: **low** · 1 file +2 −1 · 3 checks ✓ · tests 118 ✓" in text
    assert "\n-pip install countersign\n+pipx install countersign-bot\n" in text
    assert "#142" not in text


def whole(diff):
    return read_diff(diff, first=["docs/install.md"], max_lines=None, max_columns=None)


def test_what_was_hidden_cannot_be_approved():
    card = build_card(docs.staged(), now=NOW)
    for view in (None, read_diff(docs.DIFF, max_lines=2), read_diff(b"")):
        comment = render_github_comment(card, view)
        assert comment.hides_lines
        assert "/approve" not in comment.text
        assert "the diff is not shown here" in comment.text
        assert "`/diff 142`" in comment.text


def test_what_was_delivered_whole_can_be_approved():
    comment = render_github_comment(build_card(docs.staged(), now=NOW), None, delivered=True)
    assert comment.hides_lines
    assert "`/approve 142 9c1e04ab77d2e85b1f36`" in comment.text
    assert "the whole diff is in a separate comment" in comment.text


def test_a_superseded_card_decides_nothing():
    text = render_github_comment(build_card(docs.second_revision(), now=NOW, revision=1), None).text
    assert "superseded by task 142.2; nothing can be decided here" in text
    assert "/approve" not in text


@pytest.mark.parametrize("excess", [0, 1])
def test_a_diff_is_shown_up_to_the_limit_and_not_beyond(excess):
    card = build_card(docs.staged(), now=NOW)
    room = MAX_CHARACTERS - utf16_length(render_github_comment(card, whole(long_diff(1))).text) + 1
    comment = render_github_comment(card, whole(long_diff(room + excess)))
    assert comment.hides_lines is bool(excess)
    assert utf16_length(comment.text) == MAX_CHARACTERS if not excess else utf16_length(comment.text) < 5000


def long_diff(characters):
    return docs.DIFF.replace(b"+countersign init", b"+" + b"x" * characters)


DOCUMENTS = [
    docs.staged(),
    docs.asking(),
    docs.queued(),
    docs.refused_by_guard(),
    docs.published(),
    docs.failed(),
    docs.rejected(),
    docs.second_revision(),
]
KEPT = {"state", "verdict", "status", "digest", "at", "created_at", "updated_at", "expires_at", "deadline", "mode"}


def with_texts(value, draw):
    """The same document in which any text may be another."""
    if isinstance(value, dict):
        return {k: v if k in KEPT or k == "old_mode" else with_texts(v, draw) for k, v in value.items()}
    if isinstance(value, list):
        return [with_texts(item, draw) for item in value]
    return draw(TEXT) if isinstance(value, str) and draw(st.booleans()) else value


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_whatever_people_and_models_write_nothing_in_a_card_acts(data):
    document = with_texts(copy.deepcopy(data.draw(st.sampled_from(DOCUMENTS))), data.draw)
    diff = docs.DIFF.replace(b"First", data.draw(TEXT).replace("\n", " ").encode("utf-8", "replace"))
    comment = render_github_comment(build_card(document, now=NOW), whole(diff) if data.draw(st.booleans()) else None)
    assert utf16_length(comment.text) <= MAX_CHARACTERS
    check_inert(comment.text)


def test_no_naughty_string_acts():
    listed = json.loads((package("blns") / "resources" / "blns.json").read_text(encoding="utf-8"))
    assert len(listed) > 400
    for text in [*listed, *ACTS, *NAUGHTY]:
        document = docs.staged(title=text, requester=text, turns=[docs.turn(1, text), docs.turn(2, text + "!", text)])
        document["model"] = {"name": text, "words": text}
        document["staged"]["guard"] = [docs.finding("paths", "warn", text, text)]
        document["staged"]["needs"] = [docs.needs(of=(text, "lee"))]
        check_inert(render_github_comment(build_card(document, now=NOW), None).text)


@pytest.mark.parametrize(
    ("piece", "times"), [("`", 3000), ("` ", 900), ("@ a ", 900), ("漢", 900), ("👾`", 900), ("x", 3000)]
)
def test_the_largest_card_fits(piece, times):
    text = piece * times
    files = [docs.file(f"{text}{n}", mode="100755") for n in range(60)]
    guard = [docs.finding(f"{text}{n % 90}", "block", f"{text}{n}", f"p{n}") for n in range(120)]
    document = docs.staged(
        title=text,
        requester=text,
        approvals=[docs.approval(text + str(n), reason=text) for n in range(100)],
        reason=text,
    )
    document["turns"] = [docs.turn(n, text + str(n), text) for n in range(50)]
    document["staged"] |= {"files": files, "guard": guard, "needs": [docs.needs(of=(text,) * 20)] * 60}
    document["question"] = {"about": "repository", "text": text, "options": [text + str(n) for n in range(60)]}
    document["error"] = docs.error("x", text, text, "failed")
    document["pull_request"] = docs.pull_request(url=text, branch=text)
    for state in ("staged", "asking", "published", "failed"):
        comment = render_github_comment(build_card({**document, "state": state}, now=NOW), None)
        assert utf16_length(comment.text) <= MAX_CHARACTERS
        check_inert(comment.text)


@pytest.mark.parametrize(
    ("url", "linked"),
    [
        ("https://github.com/acme/web/pull/7", True),
        ("https://github.example:8443/acme/web/pull/7", True),
        ("http://github.com/acme/web/pull/7", False),
        ("https://github.com/acme/web/pull/7?q=secret", False),
        ("https://user@github.com/acme", False),
        ("https://github.com/a b", False),
        ("https://github.com/><img", False),
        ("https://[::1", False),
        ("javascript:alert(1)", False),
    ],
)
def test_only_a_plain_https_address_becomes_a_link(url, linked):
    document = docs.published()
    document["pull_request"]["url"] = url
    text = render_github_comment(build_card(document, now=NOW), None).text
    assert (f"<{url}>" in text) is linked


@given(st.lists(st.sampled_from(bodies.PARTS), max_size=12).map("".join) | st.text(max_size=60))
@example("&commat;lee &num;12 https&colon;//x.example &lt;img src=x&gt;")
def test_guard_13_no_entity_becomes_live_in_a_comment(text):
    for body in (escape_prose(text), escape_paragraphs(text), code_span(text)):
        tags, shown = bodies.rendered(body)
        assert not tags & {"a", "img", "html"}, tags
        assert not bodies.ACTS.search(shown), shown


def test_a_command_that_is_advised_is_one_piece_to_copy():
    assert escape_prose("Look at it with /show 12.") == "Look at it with `/show 12`."
    assert escape_prose("Write /reject 12 REASON, or not.") == "Write `/reject 12 REASON`, or not."
    assert escape_prose("the folder /tmp 12 files") == "the folder `/tmp 12` files"
    assert escape_prose("12 files in docs/a.md 3") == "12 files in `docs/a.md` 3"
