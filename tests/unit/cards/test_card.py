"""The card: what a surface is told of a task, from its document alone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.cards.build import build_card
from bot.cards.eta import before_words, wait_words
from bot.cards.parts import ActionKind
from bot.cards.times import ago, until
from core.model.lifecycle import State
from core.model.risk import RiskLevel
from core.model.staged_diff import GuardVerdict
from tests.unit.cards import documents as docs
from tests.unit.cards.documents import NOW


def staged_of(document):
    staged = build_card(document, now=NOW).staged
    assert staged is not None
    return staged


def kinds(card):
    return [action.kind for action in card.actions]


def commands(card):
    return [action.command.line().removeprefix("countersign ") for action in card.actions]


def test_a_staged_card_offers_the_digest_to_countersign():
    card = build_card(docs.staged(), now=NOW)
    assert commands(card)[0] == "approve 142 9c1e04ab77d2e85b1f36"
    assert card.actions[0].label == "Approve 9c1e"
    assert card.needs[0].sentence == "needs 1 of lee, docs-team"
    assert card.expiry == "expires in 13 days"
    assert card.byline == ("ana", "web@3f2a91c", "staged 2 min ago")


def test_who_has_approved_is_said_beside_who_could():
    staged = docs.staged_diff(needs=[docs.needs(2, ("kim", "lee", "max"), ("lee",))])
    card = build_card({**docs.staged(), "staged": staged, "approvals": [docs.approval()]}, now=NOW)
    assert card.needs[0].sentence == "needs 2 of kim, lee, max; has lee"
    assert [(d.person, d.is_approval, d.when) for d in card.decisions] == [("lee", True, "5 min ago")]


def test_many_who_could_are_counted():
    of = tuple(f"p{n}" for n in range(40))
    card = build_card({**docs.staged(), "staged": docs.staged_diff(needs=[docs.needs(1, of)])}, now=NOW)
    assert card.needs[0].sentence == "needs 1 of p0, p1, p2, p3, p4, p5 and 34 others"


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([], "policy no longer allows this change"),
        ([docs.needs(1, ())], "needs 1 approval, but no one may give it"),
    ],
)
def test_a_staged_card_always_says_what_it_needs(rows, sentence):
    card = build_card({**docs.staged(), "staged": docs.staged_diff(needs=rows)}, now=NOW)
    assert [need.sentence for need in card.needs] == [sentence]


def test_an_approval_of_another_digest_is_not_shown_as_one_of_this():
    card = build_card(docs.published(), now=NOW)
    assert [d.person for d in card.decisions] == ["lee"]


def test_later_revisions_carry_their_number_and_their_own_words():
    card = build_card(docs.second_revision(), now=NOW)
    assert card.label == "#142.2"
    assert [(quote.attribution, quote.text) for quote in card.quotes] == [("kim replied", "say pipx on Debian too")]


def test_the_card_of_an_older_revision_only_leads_to_the_current_one():
    card = build_card(docs.second_revision(), now=NOW, revision=1)
    assert card.superseded_note == "superseded by #142.2"
    assert card.staged is None
    assert commands(card) == ["show 142"]


def test_risky_files_come_first_with_the_reason():
    rows = staged_of(docs.refused_by_guard()).files
    assert [(row.path, row.flags) for row in rows] == [
        (".github/workflows/ci.yml", ("CI",)),
        ("tools/run.sh", ("executable",)),
        ("docs/old.md", ("deleted",)),
        ("package-lock.json", ("dependencies",)),
        ("docs/install.md", ()),
    ]


@pytest.mark.parametrize(
    ("row", "flag", "level"),
    [
        (docs.file("a", mode="120000"), "symlink", RiskLevel.HIGH),
        (docs.file("a", "T", mode="120000"), "type changed", RiskLevel.HIGH),
        (docs.file("lib", "A", None, None, mode="160000"), "submodule", RiskLevel.HIGH),
        (docs.file("a.png", added=None, removed=None), "binary", RiskLevel.MEDIUM),
        (docs.file("run", old_mode="100755"), "no longer executable", RiskLevel.MEDIUM),
        (docs.file("sub/CLAUDE.md"), "tool settings", RiskLevel.HIGH),
        (docs.file(".GitHub/workflows/x.yml "), "CI", RiskLevel.HIGH),
        (docs.file(".g\uff49thub/x"), "CI", RiskLevel.HIGH),
        (docs.file(".git\\u{200b}hub/x"), "CI", RiskLevel.HIGH),
        (docs.file("a\\x0ab"), "odd name", RiskLevel.HIGH),
        (docs.file("docs/CODEOWNERS"), "CI", RiskLevel.HIGH),
        (docs.file("requirements/dev.txt"), "dependencies", RiskLevel.MEDIUM),
        (docs.file("setup.py"), "runs in builds", RiskLevel.MEDIUM),
    ],
)
def test_what_makes_a_file_risky_is_named(row, flag, level):
    document = {**docs.staged(), "staged": docs.staged_diff(files=[row])}
    assert flag in staged_of(document).files[0].flags
    assert build_card(document, now=NOW).risk is level


@pytest.mark.parametrize("path", ["docs/github/a.md", "src/makefile.py", "my-package.json5", "docs/requirements.md"])
def test_harmless_names_are_not_flagged(path):
    document = {**docs.staged(), "staged": docs.staged_diff(files=[docs.file(path)])}
    assert staged_of(document).files[0].flags == ()
    assert build_card(document, now=NOW).risk is RiskLevel.LOW


def test_a_big_change_is_not_of_low_risk():
    files = [docs.file(f"docs/{n}.md") for n in range(21)]
    assert build_card({**docs.staged(), "staged": docs.staged_diff(files=files)}, now=NOW).risk is RiskLevel.MEDIUM


def test_findings_are_folded_by_check_and_the_worst_counts():
    checks = staged_of(docs.refused_by_guard()).checks
    assert [(c.name, c.verdict) for c in checks] == [
        ("paths", GuardVerdict.BLOCK),
        ("size", GuardVerdict.PASS),
        ("secrets", GuardVerdict.PASS),
        ("manifests", GuardVerdict.WARN),
    ]
    assert checks[0].details == (
        ".github/workflows/ci.yml: protected in every lane",
        "tools/run.sh: not among the lane's paths",
    )


def test_nothing_is_said_twice():
    document = docs.document("refused", reason="no", rule=None, error=docs.error("denied", "no", "Ask lee.", "refused"))
    card = build_card({**document, "turns": [docs.turn(1, document["title"])]}, now=NOW)
    assert (card.rule, card.quotes) == ("", ())


def test_the_models_words_are_quoted_as_the_models():
    said = {"name": "qwen3-coder", "words": "Rewrote the install steps"}
    card = build_card({**docs.staged(), "model": said}, now=NOW)
    assert (card.quotes[-1].attribution, card.quotes[-1].is_from_model) == ("the model qwen3-coder says", True)


def test_who_made_the_bytes_and_what_it_cost_are_facts_beside_the_others():
    spent = {"model": "local/qwen3:8b", "calls": 12, "input_tokens": 34_000, "output_tokens": 567, "usd": 0.125}
    making = {"executor": "ollama", "words": "", "usage": [spent, {**spent, "usd": None}], "checks": [], "tries": 2}
    card = build_card({**docs.staged(), "making": making}, now=NOW)
    told = "local/qwen3:8b: 12 answers, 34,567 tokens"
    assert f"made by ollama in 2 tries ({told}, $0.12; {told})" in card.byline


def test_how_far_the_work_is_stands_on_the_card_while_it_runs():
    queue = {"position": 0, "eta_s": None, "waits_for": None, "problem": None, "progress": "step 3 of at most 50"}
    assert "step 3 of at most 50" in build_card(docs.document("running", queue=queue), now=NOW).byline
    assert "step 3 of at most 50" not in build_card(docs.document("queued", queue=queue), now=NOW).byline


def test_a_question_offers_its_answers():
    card = build_card(docs.asking(), now=NOW)
    assert commands(card) == ["reply 142 web", 'reply 142 "site docs"', 'reply 142 "…"', "cancel 142"]


@pytest.mark.parametrize("hidden_lines", [1, None])
def test_what_was_hidden_cannot_be_approved(hidden_lines):
    card = build_card(docs.staged(), now=NOW).limited_to(1, hidden_lines)
    assert ActionKind.APPROVE not in kinds(card)
    assert kinds(card)[0] is ActionKind.DIFF
    assert card.hidden_content is not None
    assert card.hidden_content.is_partial


def test_file_rows_may_be_left_out_when_the_whole_diff_is_shown():
    staged = docs.staged_diff(files=[docs.file(f"docs/{n}.md") for n in range(3)])
    card = build_card({**docs.staged(), "staged": staged}, now=NOW).limited_to(2, 0)
    assert ActionKind.APPROVE in kinds(card)
    assert card.hidden_content is not None
    assert card.hidden_content.sentence == "2 of 3 files shown"


@pytest.mark.parametrize("state", sorted(set(State) - {State.STAGED}))
def test_only_a_staged_task_can_be_approved(state):
    card = build_card(docs.document(state.value, staged=docs.staged_diff()), now=NOW)
    assert ActionKind.APPROVE not in kinds(card)
    assert card.needs == ()


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("queued", [ActionKind.CANCEL]),
        ("failed", [ActionKind.REPLY]),
        ("published", [ActionKind.MERGE, ActionKind.REPLY, ActionKind.UNDO]),
        ("merged", [ActionKind.UNDO]),
        ("cancelled", []),
        ("closed", []),
    ],
)
def test_each_state_offers_what_can_be_done_in_it(state, expected):
    assert kinds(build_card(docs.document(state), now=NOW)) == expected


def test_the_place_in_the_queue_and_the_last_problem_are_told():
    card = build_card(docs.queued(), now=NOW)
    wait = "begins in about 4 to 9 min, 1 job before it"
    assert card.byline == ("ana", "web", "queued for 2 min", wait, "priority 5", "due in 3 h")
    assert card.last_failure == "the forge did not answer"


def test_a_start_that_was_promised_and_not_kept_is_told_with_the_reason():
    place = docs.queue_place(position=3, before=2, promised_at=docs.at(minutes=5), is_late=True)
    place["why"] = "The queue is paused: the move"
    late = f"Not begun by {NOW - timedelta(minutes=5):%H:%M} UTC as promised: The queue is paused: the move."
    assert late in build_card(docs.document("queued", queue=place), now=NOW).byline


def test_running_work_that_waits_for_a_model_says_why_and_how_long():
    place = docs.queue_place(position=0, before=2, why="gpu/qwen3 is being loaded on gpu.", eta_low_s=5, eta_high_s=40)
    byline = build_card(docs.document("running", queue=place), now=NOW).byline
    assert byline[-2:] == ("gpu/qwen3 is being loaded on gpu.", "begins within a minute")


@pytest.mark.parametrize(
    ("low_s", "high_s", "words"),
    [
        (0, 59, "within a minute"),
        (10, 61, "within 2 min"),
        (240, 540, "about 4 to 9 min"),
        (301, 302, "about 5 to 6 min"),
        (300, 300, "about 5 min"),
        (640, 1490, "about 10 to 25 min"),
        (3000, 7200, "about 50 min to 2 h"),
        (200_000, 400_000, "about 2 to 5 days"),
    ],
)
def test_a_wait_is_told_in_rounded_words(low_s, high_s, words):
    assert wait_words(low_s, high_s) == words


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_wait_in_words_is_never_shorter_than_the_forecast(one_s, other_s):
    low_s, high_s = sorted((one_s, other_s))
    numbers = [int(word) for word in wait_words(low_s, high_s).split() if word.isdecimal()]
    unit_s = {"minute": 60, "min": 60, "h": 3600, "days": 86400}[wait_words(low_s, high_s).split()[-1]]
    assert (numbers[-1] if numbers else 1) * unit_s >= high_s


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (0, "next"),
        (1, "1 job before it"),
        (10, "10 jobs before it"),
        (43, "about 40 jobs before it"),
        (1234, "about 1250 jobs before it"),
    ],
)
def test_how_many_go_before_is_rounded_when_there_are_many(before, words):
    assert before_words(before) == words


@pytest.mark.parametrize(
    ("again_s", "said"), [(10, "next try in 10 s"), (600, "next try in 10 min"), (-5, "next try now")]
)
def test_lanes_09_why_it_waits_and_until_when_is_told(again_s, said):
    place = {"position": 1, "eta_s": None, "waits_for": None, "problem": "local is busy (503)"}
    place["next_try_at"] = (NOW + timedelta(seconds=again_s)).isoformat()
    assert build_card(docs.document("queued", queue=place), now=NOW).last_failure == f"local is busy (503); {said}"


def test_a_task_that_waits_for_another_says_so():
    place = {"position": 0, "eta_s": None, "waits_for": 141, "problem": None}
    assert "waits for #141" in build_card(docs.document("queued", queue=place), now=NOW).byline


def test_a_pull_request_of_an_earlier_revision_says_which():
    links = [build_card({**docs.published(), "revision": n}, now=NOW).pull_request for n in (1, 2)]
    assert [link.revision for link in links if link] == [None, 1]


def test_an_expired_wait_is_told_as_past():
    assert build_card({**docs.staged(), "expires_at": docs.at(hours=2)}, now=NOW).expiry == "expired 2 h ago"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "just now"), (30, "30 s ago"), (100, "2 min ago"), (3590, "1 h ago"), (47 * 3600, "47 h ago")],
)
def test_spans_are_said_in_one_unit(seconds, said):
    assert ago(docs.at(seconds=seconds), NOW) == said


def test_two_weeks_less_a_moment_are_14_days():
    assert until(docs.at(days=-14, seconds=3), NOW) == "in 14 days"
