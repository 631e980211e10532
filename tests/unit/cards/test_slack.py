"""Cards on Slack: what is shown, that nothing in it acts, and that Slack's limits hold for any card at all."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.cards.build import build_card
from bot.cards.diff import read_diff
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
)
from bot.cards.safe import map_text, visible
from bot.surfaces.slack.card import render_slack_card
from bot.surfaces.slack.text import BUDGET, MAX_TOTAL, total_length
from core.model.advice import CommandName, Suggestion
from core.model.lifecycle import State
from core.model.risk import RiskLevel
from core.model.staged_diff import GuardVerdict
from tests.counterparts import package
from tests.fakes.slack.people import words_of
from tests.fakes.slack.rules import check_message, pings_in
from tests.unit.cards import documents as docs
from tests.unit.cards.documents import NOW
from tests.unit.cards.naughty import NAUGHTY

pytestmark = pytest.mark.surfaces

PINGS = [
    "<!channel>",
    "<!here|here>",
    "<!everyone>",
    "<@U1>",
    "<@U1|ana>",
    "<!subteam^S1>",
    "<#C1|general>",
    "<http://evil.example|bank.example>",
    "<mailto:a@b.example|c>",
    "<!date^1392734382^{date}|x>",
    "@here",
    "@channel",
    "#general",
    "&lt;!channel&gt;",
    "`<!channel>`",
    "*<!channel>*",
    ":rotating_light:",
    "http://evil.example/approve",
]
BIG = st.integers(0, 10**9)
WORDS = st.one_of(st.sampled_from([*NAUGHTY, *PINGS]), st.text(max_size=80)).map(visible)


def buttons_of(card):
    return {action: f"{n:022}" for n, action in enumerate(dict.fromkeys(card.actions))}


def drawn(card, diff=None, *, delivered=False, buttons=None):
    view = read_diff(diff, first=[row.path for row in card.staged.files]) if diff is not None else None
    return render_slack_card(card, view, buttons_of(card) if buttons is None else buttons, delivered=delivered)


def payload(shown):
    return {"blocks": list(shown.blocks), "text": shown.text}


def labels(shown):
    return [e["text"]["text"] for b in shown.blocks if b["type"] == "actions" for e in b["elements"]]


def judged(shown):
    """Slack would take it, and no one is pinged."""
    check_message(json.loads(json.dumps(payload(shown), ensure_ascii=False)))
    assert pings_in(payload(shown)) == []
    assert total_length(shown.blocks) <= BUDGET < MAX_TOTAL


def staged_card(**changes):
    return build_card(docs.staged(**changes), now=NOW)


def test_a_staged_card_shows_facts_quotes_diff_and_buttons_in_that_order():
    shown = drawn(staged_card(), docs.DIFF)
    words = words_of(payload(shown))
    for part in (
        "⏳ #142 docs · Fix install steps",
        "risk: low · ana · web@",
        "1 file  +2 \N{MINUS SIGN}1",
        "docs/install.md",
        "ana asked:",
        "“fix the install steps in docs/install.md”",
        "+countersign init",
        "diff  9c1e04ab77d2e85b1f36",
        "needs 1 of lee, docs-team",
    ):
        assert part in words, part
    assert labels(shown) == ["✅ Approve 9c1e", "❌ Reject", "💬 Reply", "🔎 Why"]
    assert not shown.hides_lines
    judged(shown)


@pytest.mark.parametrize(
    "document",
    [docs.asking(), docs.queued(), docs.refused_by_guard(), docs.published(), docs.failed(), docs.rejected()],
    ids=lambda document: document["state"],
)
def test_every_state_is_a_card_that_slack_takes(document):
    shown = drawn(build_card(document, now=NOW))
    assert not shown.hides_lines
    judged(shown)


def test_a_card_without_its_diff_has_no_approve_and_no_words_that_lead_to_it():
    shown = drawn(staged_card())
    assert shown.hides_lines
    assert not any("Approve" in label for label in labels(shown))
    words = words_of(payload(shown))
    assert "approve 142" not in words
    assert "9c1e04ab77d2e85b1f36" not in words
    assert "the diff is not shown here; it can be approved once the whole diff is here." in words
    judged(shown)


def test_nor_has_it_when_approve_has_no_button():
    shown = drawn(staged_card(), buttons={})
    assert "approve" not in words_of(payload(shown)).replace("approved once", "")
    assert "/countersign reject 142" in words_of(payload(shown))


def test_a_card_whose_diff_was_delivered_has_approve_and_says_where_the_diff_is():
    shown = drawn(staged_card(), delivered=True)
    assert shown.hides_lines
    assert labels(shown)[0] == "✅ Approve 9c1e"
    assert "the whole diff is attached here" in words_of(payload(shown))
    judged(shown)


def test_a_diff_that_is_a_line_too_long_is_not_shown_in_part():
    diff = docs.DIFF + b"".join(b"+line %d\n" % n for n in range(200))
    shown = drawn(staged_card(), diff.replace(b"@@ -4,4 +4,5 @@", b"@@ -4,4 +4,205 @@"))
    assert shown.hides_lines
    assert "+line" not in words_of(payload(shown))
    judged(shown)


@given(st.integers(0, 40), st.integers(1, 480))
def test_a_card_hides_exactly_when_a_line_of_the_diff_is_missing(count, width):
    lines = [f"{n:04}{'x' * width}" for n in range(count)]
    body = b"".join(b"+%s\n" % line.encode() for line in lines)
    diff = docs.DIFF.replace(b"@@ -4,4 +4,5 @@", b"@@ -4,4 +4,%d @@" % (5 + count)) + body
    shown = drawn(staged_card(), diff)
    words = words_of(payload(shown))
    assert shown.hides_lines == any(line not in words for line in lines)
    assert shown.hides_lines == (not any("Approve" in label for label in labels(shown)))
    judged(shown)


def test_a_superseded_card_decides_nothing_and_leads_to_the_newer_one():
    shown = drawn(build_card(docs.second_revision(), now=NOW, revision=1))
    assert labels(shown) == ["👁️ Show #142.2"]
    assert "superseded by #142.2; nothing can be decided here" in words_of(payload(shown))
    judged(shown)


def test_an_action_without_a_button_is_said_as_a_command():
    card = staged_card()
    some = {action: opaque for action, opaque in buttons_of(card).items() if action.kind is not ActionKind.REJECT}
    shown = drawn(card, docs.DIFF, buttons=some)
    assert "❌ Reject" not in labels(shown)
    assert "Or type: /countersign reject 142 REASON" in words_of(payload(shown))


def test_a_button_carries_its_opaque_id_and_nothing_else():
    card = staged_card()
    shown = drawn(card, docs.DIFF)
    for element in (e for b in shown.blocks if b["type"] == "actions" for e in b["elements"]):
        assert element["value"] == element["action_id"]
        assert element["value"] in buttons_of(card).values()


@pytest.mark.parametrize("words", PINGS)
def test_words_of_people_ping_nobody_and_link_nowhere(words):
    rows = [docs.file(f"docs/{words}.md")]
    document = docs.staged(title=words, requester=words, turns=[docs.turn(1, f"please {words}", words)])
    document["staged"]["files"] = rows
    document["staged"]["guard"] = [docs.finding("paths", "warn", words, words)]
    diff = docs.DIFF.replace(b"+countersign init", f"+{words}".encode())
    shown = drawn(build_card(document, now=NOW), diff, delivered=True)
    assert words in words_of(payload(shown))
    judged(shown)


def test_no_string_of_the_big_list_pings_or_is_refused():
    strings = json.loads((package("blns") / "resources" / "blns.json").read_text(encoding="utf-8"))
    assert len(strings) > 450
    for said in strings:
        document = docs.staged(title=said or "x", requester=said or "x", turns=[docs.turn(1, f"x {said}", said)])
        judged(drawn(build_card(document, now=NOW), delivered=True))


@pytest.mark.parametrize("over", [0, 1])
def test_a_title_at_the_headers_limit_stays_whole_and_one_past_it_is_cut(over):
    room = 150 - len("⏳ #142 docs · ")
    header = drawn(staged_card(title="t" * (room + over))).blocks[0]["text"]["text"]
    assert len(header) == 150
    assert header.endswith("…") == bool(over)


@pytest.mark.parametrize("over", [0, 1])
def test_a_label_at_the_buttons_limit_stays_whole_and_one_past_it_is_cut(over):
    card = staged_card()
    long = Action(ActionKind.ANSWER, "l" * (75 + over), Suggestion(CommandName.REPLY, 142, ("x",)))
    (label,) = labels(drawn(replace(card, actions=(long,)), docs.DIFF))
    assert len(label) == 75
    assert label.endswith("…") == bool(over)


@pytest.mark.parametrize(("options", "typed"), [(25, False), (26, True)])
def test_twenty_five_buttons_are_shown_and_the_next_is_typed(options, typed):
    actions = tuple(
        Action(ActionKind.ANSWER, f"o{n}", Suggestion(CommandName.REPLY, 142, (f"o{n}",))) for n in range(options)
    )
    shown = drawn(replace(staged_card(), actions=actions), docs.DIFF)
    assert len(labels(shown)) == 25
    assert ("Or type" in words_of(payload(shown))) == typed
    judged(shown)


def test_five_thousand_files_come_risky_first_and_are_counted():
    files = [docs.file(f"docs/{n}.md") for n in range(5000)] + [docs.file(".github/workflows/x.yml", "A", 1, 0)]
    document = docs.staged()
    document["staged"]["files"] = files
    words = words_of(payload(drawn(build_card(document, now=NOW))))
    assert ".github/workflows/x.yml" in words
    assert "… 4989 more files, none of them risky" in words
    assert "12 of 5001 files shown" in words


@st.composite
def cards(draw):
    """Any card at all, with texts that no task would have."""
    card = draw(st.sampled_from([staged_card(), build_card(docs.refused_by_guard(), now=NOW)]))
    rows = st.builds(
        FileRow, WORDS, st.sampled_from("AMDT"), st.none() | BIG, st.none() | BIG,
        st.lists(WORDS, max_size=3).map(tuple), st.sampled_from(RiskLevel),
    )  # fmt: skip
    checks = st.builds(CheckRow, WORDS, st.sampled_from(GuardVerdict), st.lists(WORDS, max_size=20).map(tuple), WORDS)
    staged = replace(
        card.staged,
        files=draw(st.lists(rows, min_size=1, max_size=40).map(tuple)),
        checks=draw(st.lists(checks, max_size=12).map(tuple)),
    )
    suggestions = st.builds(
        Suggestion, st.sampled_from(CommandName), st.none() | BIG, st.lists(WORDS, max_size=3).map(tuple)
    )
    actions = st.builds(Action, st.sampled_from(ActionKind), WORDS, suggestions)
    changed = replace(
        card,
        title=draw(WORDS),
        lane=draw(WORDS),
        state=draw(st.sampled_from(State)),
        byline=draw(st.lists(WORDS, max_size=12).map(tuple)),
        rule=draw(WORDS),
        quotes=draw(st.lists(st.builds(Quote, WORDS, WORDS, st.booleans()), max_size=4).map(tuple)),
        staged=draw(st.none() | st.just(staged)),
        needs=draw(st.lists(st.builds(NeededApproval, BIG, st.just(()), st.just(()), WORDS), max_size=20).map(tuple)),
        decisions=draw(
            st.lists(st.builds(DecisionRow, WORDS, st.booleans(), WORDS, WORDS, WORDS), max_size=20).map(tuple)
        ),
        expiry=draw(WORDS),
        question=draw(st.none() | st.builds(QuestionPart, WORDS, st.just(()))),
        problem=draw(st.none() | st.builds(ProblemPart, WORDS, WORDS, WORDS)),
        last_failure=draw(WORDS),
        pull_request=draw(st.none() | st.builds(PullRequestPart, BIG, WORDS, WORDS, WORDS, WORDS, st.none() | BIG)),
        actions=draw(st.lists(actions, max_size=30).map(tuple)),
        superseded_note=draw(st.just("") | WORDS),
    )
    return map_text(changed, visible)


@given(cards(), st.booleans(), st.booleans())
def test_any_card_is_one_that_slack_takes_and_that_pings_nobody(card, with_diff, delivered):
    diff = docs.DIFF if with_diff and card.staged else None
    shown = drawn(card, diff, delivered=delivered)
    judged(shown)
    offered = any(action.kind is ActionKind.APPROVE for action in card.actions)
    if shown.hides_lines and not delivered and offered:
        approve = {opaque for action, opaque in buttons_of(card).items() if action.kind is ActionKind.APPROVE}
        assert not approve & {e["value"] for b in shown.blocks if b["type"] == "actions" for e in b["elements"]}
