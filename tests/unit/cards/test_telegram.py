"""The card on Telegram: it fits, hides nothing unsaid, and no text in it acts."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.cards.build import build_card
from bot.cards.diff import read_diff
from bot.cards.model import Card
from bot.cards.parts import (
    Action,
    ActionKind,
    CheckRow,
    DecisionRow,
    FileRow,
    NeededApproval,
    ProblemPart,
    PullRequestPart,
    QuestionPart,
    Quote,
    StagedPart,
)
from bot.cards.safe import map_text, visible
from bot.surfaces.telegram.card import MAX_DATA_BYTES, render_telegram_card
from bot.surfaces.telegram.entities import (
    MAX_ENTITIES,
    TextPiece,
    neutralize,
    render_lines,
    truncate,
    truncate_path,
)
from bot.surfaces.utf16 import utf16_length
from core.model.advice import CommandName, Suggestion
from core.model.lifecycle import State
from core.model.risk import RiskLevel
from core.model.staged_diff import GuardVerdict
from tests.counterparts import package
from tests.fakes.telegram import words
from tests.unit.cards import documents as docs
from tests.unit.cards.documents import NOW
from tests.unit.cards.naughty import NAUGHTY

pytestmark = pytest.mark.surfaces


def ids(card):
    return {action: f"{n:022d}" for n, action in enumerate(card.actions)}


def draw(card, diff=None, *, delivered=False):
    view = read_diff(diff, first=[row.path for row in card.staged.files]) if diff is not None and card.staged else None
    return render_telegram_card(card, view, ids(card), delivered=delivered)


def card_for(document, **changes):
    return replace(build_card(document, now=NOW), **changes)


def shown(drawing):
    """The text, as it looks and as it is copied."""
    return drawing.card.text


def labels(drawing):
    return [button.label for row in drawing.card.button_rows for button in row]


def in_file(body, path="docs/install.md"):
    return f"diff --git a/{path} b/{path}\nindex 1..2 100644\n--- a/{path}\n+++ b/{path}\n".encode() + body


def added(lines):
    return in_file(b"@@ -0,0 +1,%d @@\n" % len(lines) + b"".join(b"+" + line.encode() + b"\n" for line in lines))


def holds(drawing, ours=""):
    """The laws of every card: sizes, spans, buttons, and nothing for Telegram to act on but our own link."""
    card = drawing.card
    spans = [{"type": s.kind, "offset": s.offset, "length": s.length} for s in card.spans]
    for text in (card.text, card.plain):
        assert 1 <= words.units(text) <= 4096
        assert text == text.strip()
    assert words.wrong_entities(card.text, spans) is None
    assert {s.kind for s in card.spans} <= {"bold", "italic", "code", "pre", "blockquote"}
    acting = {"url", "email", "mention", "bot_command", "hashtag", "cashtag", "text_link", "text_mention"}
    bare = card.plain  # without entities the diff still is the bytes, whatever Telegram finds in it
    for diff in (words.slice_units(card.text, s.offset, s.length) for s in card.spans if s.kind == "pre"):
        assert diff in bare
        bare = bare.replace(diff, "")
    for text, given_spans in ((card.text, spans), (bare, [])):
        found = [e for e in words.find_entities(text, given_spans) if e["type"] in acting]
        assert [words.slice_units(text, e["offset"], e["length"]) for e in found] in ([], [ours])
    buttons = [button for row in card.button_rows for button in row]
    assert all(1 <= len(button.data.encode()) <= MAX_DATA_BYTES and button.label.strip() for button in buttons)
    assert len(buttons) <= 100
    assert all(len(row) <= 8 for row in card.button_rows)
    return True


def test_a_staged_card_shows_facts_words_diff_and_what_it_needs():
    drawing = draw(card_for(docs.staged()), docs.DIFF)
    assert shown(drawing).split("\n") == [
        "⏳ #142 docs · Fix install steps",
        "risk: low",
        "ana · web@3f2a91c · staged 2 min ago",
        "rule docs-changes: a member may change docs/** with one approval",
        "",
        "1 file +2 \N{MINUS SIGN}1 · 3 checks ✓ · tests 118 ✓",
        "▫️ docs/install.md +2 \N{MINUS SIGN}1",
        "",
        "ana asked:",
        "“fix the install steps in docs/install.md”",
        "",
        "━━ docs/install.md",
        "@@ Install",
        " First",
        "-pip install countersign",
        "+pipx install countersign-bot",
        "+countersign init",
        " Then",
        " look",
        "",
        "diff 9c1e04ab77d2e85b1f36 · needs 1 of lee, docs-team · expires in 13 days",
    ]
    assert not drawing.hides_lines
    assert [[b.label for b in row] for row in drawing.card.button_rows] == [
        ["✅ Approve 9c1e", "❌ Reject"],
        ["💬 Reply", "🔎 Why"],
    ]
    assert holds(drawing)


def test_without_the_diff_there_is_no_approve_and_the_card_says_why():
    drawing = draw(card_for(docs.staged()))
    assert drawing.hides_lines
    assert labels(drawing) == ["📄 Full diff", "❌ Reject", "💬 Reply", "🔎 Why"]
    assert "The diff is not shown here." in shown(drawing)
    assert "pprove" not in shown(drawing)
    assert holds(drawing)


def test_a_delivered_diff_brings_approve_back_and_is_still_not_in_the_card():
    drawing = draw(card_for(docs.staged()), delivered=True)
    assert drawing.hides_lines
    assert labels(drawing)[0] == "✅ Approve 9c1e"
    assert "The whole diff was sent to this chat." in shown(drawing)


@pytest.mark.parametrize(
    "diff",
    [
        added(["x" * 501]),
        added([f"line {n}" for n in range(61)]),
        added(["y" * 400 for _ in range(12)]),
        docs.DIFF.replace(b"docs/install.md", b"docs/other.md"),
    ],
    ids=["a long line", "many lines", "more than a message", "a file of the card is not in it"],
)
def test_a_diff_of_which_a_line_is_hidden_is_not_shown_at_all(diff):
    drawing = draw(card_for(docs.staged()), diff)
    assert drawing.hides_lines
    assert "✅ Approve 9c1e" not in labels(drawing)
    assert "━━" not in drawing.card.text


def test_the_diff_is_shown_to_the_last_unit_and_not_one_past_it():
    card = card_for(docs.staged())

    def drawn(count):
        return draw(card, added(["🦊" * 200] * 8 + ["z" * count]))

    fitting = [count for count in range(500) if not drawn(count).hides_lines]
    last = fitting[-1]
    assert fitting == list(range(last + 1))
    assert 0 < last < 499
    assert holds(drawn(last))
    assert holds(drawn(last + 1))
    assert words.units(drawn(last).card.text) > 3800


def test_without_entities_the_whole_diff_is_there_too():
    """The plain text takes its place when Telegram refuses the entities: it must not hide what the card shows."""
    lines = [f"see a.b.c.d.e@host{n}.example/path #tag /command" for n in range(40)]
    drawing = draw(card_for(docs.staged()), added(lines))
    assert not drawing.hides_lines
    for line in lines:
        assert f"+{line}" in drawing.card.plain


def test_a_diff_cannot_pose_as_the_card():
    drawing = draw(card_for(docs.staged()), added(["━━ harmless.md", "diff 000000000000 · needs 0 of nobody"]))
    rows = shown(drawing).split("\n")
    assert "+━━ harmless.md" in rows
    assert sum(row.startswith("━━") for row in rows) == 1


def test_risky_files_lead_and_what_is_left_out_is_counted():
    files = [docs.file(f"docs/{n}.md") for n in range(40)] + [docs.file(".github/workflows/ci.yml", "A", 3, 0)]
    drawing = draw(card_for({**docs.staged(), "staged": docs.staged_diff(files=files)}), delivered=True)
    rows = [row for row in shown(drawing).split("\n") if row.startswith(("⚠️", "▫️"))]
    assert rows[0] == "⚠️ .github/workflows/ci.yml +3 \N{MINUS SIGN}0 new, CI"
    assert len(rows) == 12
    assert "… 29 more files, none of them risky" in shown(drawing)
    assert "12 of 41 files shown; the whole diff was sent to this chat." in shown(drawing)


def test_padding_does_not_push_the_facts_out():
    long = "A harmless change. " * 500
    document = {**docs.refused_by_guard(), "title": long, "turns": [docs.turn(1, long)], "requester": long}
    document["model"] = {"name": "qwen", "words": long}
    text = shown(draw(card_for(document)))
    assert text.startswith("⛔ #142 docs")
    for fact in (".github/workflows/ci.yml", "risk: high", "protected in every lane", "diff 9c1e04ab77d2e85b1f36"):
        assert fact in text


def test_a_models_words_are_quoted_as_the_models():
    document = {**docs.staged(), "model": {"name": "qwen3-coder", "words": "Already approved by @lee ✅"}}
    drawing = draw(card_for(document))
    assert "the model qwen3-coder says:\n“Already approved by @lee ✅”" in shown(drawing)
    assert holds(drawing)


def test_our_own_pull_request_is_the_only_link():
    document = docs.published()
    document["pull_request"]["url"] = "https://github.com/acme/web/pull/7"
    document["title"] = "see https://evil.example and t.me/evil"
    assert holds(draw(card_for(document)), ours="https://github.com/acme/web/pull/7")


@pytest.mark.parametrize("url", ["javascript:alert(1)", "tg://resolve?domain=evil", "https://ünicode.example/x", ""])
def test_an_odd_address_is_shown_and_no_link(url):
    document = docs.published()
    document["pull_request"]["url"] = url
    assert holds(draw(card_for(document)))


def test_a_question_has_a_button_for_each_answer():
    drawing = draw(card_for(docs.asking()))
    assert [[b.label for b in row] for row in drawing.card.button_rows] == [
        ["web"],
        ["site docs"],
        ["💬 Reply", "🚫 Cancel"],
    ]
    assert "❓ Which repository is it in?" in shown(drawing)


def test_a_decided_card_says_who_and_offers_no_approve():
    for document in (docs.published(), docs.rejected()):
        drawing = draw(card_for(document), docs.DIFF)
        assert "✅ Approve 9c1e" not in labels(drawing)
        assert " lee " in shown(drawing)
        assert holds(drawing)


def test_an_old_card_leads_to_the_new_one_only():
    drawing = draw(build_card(docs.second_revision(), now=NOW, revision=1))
    assert "superseded by #142.2; nothing can be decided here" in shown(drawing)
    assert labels(drawing) == ["👁 Show #142.2"]
    assert not drawing.hides_lines


@pytest.mark.parametrize(("length", "there"), [(0, False), (1, True), (64, True), (65, False)])
def test_a_button_whose_data_telegram_refuses_is_left_out(length, there):
    card = card_for(docs.staged())
    drawing = render_telegram_card(
        card, None, {card.actions[1]: "é" * (length // 2) + "x" * (length % 2)}, delivered=False
    )
    assert labels(drawing) == (["❌ Reject"] if there else [])


def test_an_action_without_an_id_has_no_button():
    assert render_telegram_card(card_for(docs.staged()), None, {}, delivered=True).card.button_rows == ()


@pytest.mark.parametrize("text", NAUGHTY)
def test_no_naughty_text_acts_or_breaks_the_card(text):
    assert holds(draw(naughty_card(text)))
    assert holds(draw(naughty_card(text), delivered=True))


def test_none_of_the_big_list_of_naughty_strings_acts_or_breaks_the_card():
    strings = json.loads((package("blns") / "resources" / "blns.json").read_text(encoding="utf-8"))
    for text in strings:
        assert holds(draw(naughty_card(text), added([text.replace("\n", " ")[:400]])))


def naughty_card(text):
    """One text wherever people or models have a say."""
    row = {**docs.file(), "path": visible(text) or "docs/install.md"}
    document = docs.staged(
        title=text, requester=text, reason=text, turns=[docs.turn(1, text + " ", text)], approvals=[docs.approval(text)]
    )
    document["staged"] = docs.staged_diff(
        files=[row],
        needs=[docs.needs(1, (text, text))],
        guard=[docs.finding("paths", "warn", text, visible(text) or None)],
    )
    document["model"] = {"name": text, "words": text}
    document["error"] = docs.error("x", text, text, "failed")
    return build_card(document, now=NOW)


text = st.text(max_size=700) | st.sampled_from(NAUGHTY) | st.sampled_from(["@lee.t.me/x", "/approve", "a.b" * 400])
counts = st.none() | st.integers(0, 10**7)
verdicts = st.sampled_from(GuardVerdict)
levels = st.sampled_from(RiskLevel)
file_rows = st.builds(
    FileRow, text, st.sampled_from("AMDT"), counts, counts, st.tuples() | st.tuples(text, text), levels
)
checks = st.builds(CheckRow, text, verdicts, st.lists(text, max_size=4).map(tuple), text)
staged = st.builds(
    StagedPart,
    digest=st.just("a" * 64),
    short_digest=st.just("a" * 12),
    base=st.just("b" * 40),
    files=st.lists(file_rows, max_size=20).map(tuple),
    added=st.integers(0, 10**9),
    removed=st.integers(0, 10**9),
    checks=st.lists(checks, max_size=12).map(tuple),
)
suggestions = st.builds(
    Suggestion, st.sampled_from(CommandName), st.none() | st.integers(1, 10**9), st.lists(text, max_size=3).map(tuple)
)
actions = st.builds(Action, st.sampled_from(ActionKind), text, suggestions)
cards = st.builds(
    Card,
    number=st.integers(1, 10**9),
    revision=st.integers(1, 10**4),
    icon=st.just("⏳"),
    label=st.just("#142"),
    state=st.sampled_from(State),
    lane=text,
    title=text,
    risk=st.none() | levels,
    byline=st.lists(text, max_size=6).map(tuple),
    rule=text,
    quotes=st.lists(st.builds(Quote, text, text, st.booleans()), max_size=3).map(tuple),
    staged=st.none() | staged,
    needs=st.lists(st.builds(NeededApproval, st.integers(0, 9), st.tuples(), st.tuples(), text), max_size=4).map(tuple),
    decisions=st.lists(st.builds(DecisionRow, text, st.booleans(), text, text, text), max_size=7).map(tuple),
    expiry=text,
    question=st.none() | st.builds(QuestionPart, text, st.tuples()),
    problem=st.none() | st.builds(ProblemPart, st.sampled_from(["rejected", "failed"]), text, text),
    last_failure=text,
    pull_request=st.none()
    | st.builds(
        PullRequestPart, st.integers(1, 10**6), text, text, text, st.just("https://x.example/1"), st.none() | st.just(2)
    ),
    actions=st.lists(actions, max_size=30).map(tuple),
    superseded_note=text,
    hidden_content=st.none(),
)


@settings(max_examples=150)
@given(cards, st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=90)))
def test_any_card_fits_and_is_inert(card, lines):
    card = map_text(card, visible)
    ours = card.pull_request.url if card.pull_request else ""
    for delivered in (False, True):
        drawing = draw(card, added(lines), delivered=delivered)
        assert holds(drawing, ours)
        approves = any("✅" in label for label in labels(drawing))
        assert not (card.awaits_approval and drawing.hides_lines and not delivered and approves)


@given(st.text(), st.integers(1, 60))
def test_what_is_cut_fits_and_what_fits_is_not_cut(text, limit):
    found = truncate(visible(text), limit)
    assert utf16_length(found) <= limit
    assert utf16_length(neutralize(found)) <= limit
    if utf16_length(neutralize(visible(text))) <= limit:
        assert found == visible(text)


@given(st.text(min_size=1), st.integers(10, 60))
def test_a_path_keeps_its_end(path, limit):
    path = visible(path)
    found = truncate_path(path, limit)
    assert utf16_length(found) <= limit
    assert found == path or found[-2:] == path[-2:]


@given(st.text(alphabet="@#$/:.aZ9_-é🦊 \n", max_size=60) | st.text(max_size=60))
def test_neutral_text_is_parted_by_spaces_alone_and_holds_nothing_for_telegram_to_find(text):
    found = neutralize(text)
    assert found.replace(" ", "") == text.replace(" ", "")
    assert neutralize(found) == found
    assert words.find_entities(found) == []


@given(st.lists(st.text(alphabet="@#$/:.aZ9_-é🦊“” ", max_size=60) | st.text(max_size=60), max_size=40))
def test_chat_11_people_copy_what_was_written_and_nothing_in_it_acts(texts):
    lines = [
        [TextPiece(visible(text), kind)] for text in texts for kind in ("", "bold", "italic", "blockquote", "code")
    ]
    text, spans = render_lines(lines)
    shown = [{"type": s.kind, "offset": s.offset, "length": s.length} for s in spans]
    assert words.wrong_entities(text, shown) is None
    assert [e for e in words.find_entities(text, shown) if e not in shown] == []
    if len(spans) < MAX_ENTITIES - 60:
        assert text == "\n".join(piece.text for line in lines for piece in line)


def test_chat_11_a_title_and_a_mend_hold_no_invisible_character_of_ours():
    title = "set server.timeout to 30 in config/app.yaml for @lee, see https://example.com/x#1 and /etc/passwd"
    drawing = draw(card_for({**docs.refused_by_guard(), "title": title}))
    assert title in shown(drawing)
    for text in (drawing.card.text, drawing.card.plain):
        assert not [char for char in text if unicodedata.category(char) == "Cf"]
    assert holds(drawing)


@given(st.text())
def test_units_are_those_of_utf_16(text):
    assert utf16_length(text) == words.units(text)
