"""Commands in problems are values: each surface words them in its own form, and nothing rewrites finished text."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from bot.cards.build import build_card
from bot.cards.problem_text import command_line, problem_sentence, render_advice
from bot.commands.table import COMMANDS, NAMES
from core.model.advice import BLANK, DOCTOR, Advice, CommandName, Suggestion, advise
from core.model.errors import Kind, Problem
from tests.unit.cards import documents as docs
from tests.unit.cards.documents import NOW

pytestmark = pytest.mark.surfaces

ROOT = Path(__file__).parents[3]
SHOW = advise("Look at it with ", Suggestion(CommandName.SHOW, 12), ".")
SURFACES = ("terminal", "telegram", "slack", "github")


@pytest.mark.parametrize(
    ("surface", "words"),
    [
        ("terminal", "Look at it with `countersign show 12`."),
        ("telegram", "Look at it with /show 12."),
        ("github", "Look at it with /show 12."),
        ("slack", "Look at it with /countersign show 12."),
        ("of a plugin", "Look at it with /show 12."),
    ],
)
def test_chat_15_a_command_is_worded_as_the_surface_has_it(surface, words):
    assert render_advice(SHOW, surface) == words
    assert problem_sentence(Problem(Kind.CONFLICT, "x", "It changed", SHOW), surface) == f"It changed. {words}"


@pytest.mark.parametrize(
    ("suggestion", "terminal", "chat"),
    [
        (Suggestion(CommandName.REJECT, 12, (BLANK,)), 'countersign reject 12 --reason "…"', "/reject 12 REASON"),
        (Suggestion(CommandName.REPLY, 12, (BLANK,)), 'countersign reply 12 "…"', "/reply 12 TEXT"),
        (Suggestion(CommandName.REPLY, 12, ("site docs",)), 'countersign reply 12 "site docs"', "/reply 12 site docs"),
        (Suggestion(CommandName.REPLY, 12, ("$(rm)",)), "countersign reply 12 '$(rm)'", "/reply 12 $(rm)"),
        (Suggestion(CommandName.DIFF, 12), "countersign show 12 --diff", "/diff 12"),
        (Suggestion(CommandName.PROGRESS), "countersign list", "/progress"),
        (Suggestion(CommandName.WHY, 12), "countersign why 12", "/why 12"),
        (Suggestion(CommandName.RELEASE), "countersign resume", "/release"),
        (Suggestion(CommandName.RETRY, 12), "countersign reply 12 retry", "/retry 12"),
        (Suggestion(CommandName.DOCTOR), "countersign doctor", None),
        (Suggestion(CommandName.TRANSCRIPT, 12), "countersign show 12 --transcript", None),
        (Suggestion(CommandName.EXPLAIN), "countersign policy explain", None),
    ],
    ids=str,
)
def test_each_command_has_its_forms(suggestion, terminal, chat):
    assert suggestion.line() == command_line(suggestion, "terminal") == terminal
    assert command_line(suggestion, "telegram") == chat
    assert Suggestion.from_json(suggestion.to_json()) == suggestion


def test_chat_15_a_command_that_a_surface_lacks_is_not_advised_there():
    assert render_advice(DOCTOR, "terminal") == "Run `countersign doctor`."
    for surface in SURFACES[1:]:
        assert render_advice(DOCTOR, surface) == "Ask the operator of Countersign to run its doctor."
        assert (
            render_advice(advise("See ", Suggestion(CommandName.LANES), "."), surface)
            == "Ask the operator of Countersign."
        )


def test_every_command_of_the_chats_is_suggested_by_its_name_there():
    for spec in COMMANDS:
        assert command_line(Suggestion(CommandName(spec.name)), "telegram") == f"/{spec.name}"
    for name in CommandName:
        line = command_line(Suggestion(name, 1), "telegram")
        assert line is None or line.split()[0].removeprefix("/") in NAMES


def test_a_problem_is_stored_with_its_parts_and_read_back():
    problem = Problem(Kind.CONFLICT, "stale_digest", "It changed", SHOW)
    stored = problem.to_json()
    assert stored["mend"] == "Look at it with `countersign show 12`."  # contract.md: the command line's words
    assert Problem.from_json(stored) == problem


def test_a_problem_can_be_said_without_commands():
    assert Problem(Kind.CONFLICT, "x", "It changed", SHOW).plain() == "It changed"
    assert Problem(Kind.FAILED, "x", "It broke", DOCTOR).plain() == (
        "It broke. Ask the operator of Countersign to run its doctor."
    )
    assert Problem(Kind.FAILED, "x", "It broke.", "Mend it.").plain() == "It broke. Mend it."


def test_old_rows_are_shown_as_they_are():
    old = {"code": "x", "message": "It went wrong.", "mend": "See it with `countersign show 12`.", "kind": "failed"}
    problem = Problem.from_json(old)
    assert problem_sentence(problem, "slack") == "It went wrong. See it with `countersign show 12`."
    assert problem.to_json() == old


def test_the_number_of_the_task_is_filled_in_where_none_is_named():
    problem = Problem(Kind.FAILED, "x", "It failed", advise("Log: ", Suggestion(CommandName.TRANSCRIPT), "."))
    assert problem.about(7).sentence() == "It failed. Log: `countersign show 7 --transcript`."
    error = {**problem.to_json()}
    card = build_card({**docs.failed(), "error": error}, now=NOW)
    assert card.problem is not None
    assert render_advice(card.problem.mend, "terminal") == "Log: `countersign show 142 --transcript`."


def test_what_people_wrote_into_advice_is_not_read_as_a_command():
    said = advise("You wrote “`countersign approve 1`” and {number} %s; see ", Suggestion(CommandName.SHOW, 3), ".")
    for surface in SURFACES:
        assert render_advice(said, surface).startswith("You wrote “`countersign approve 1`” and {number} %s; see ")
    assert Advice.from_json(said.to_json()) == said


_NAMED = "|".join(sorted(NAMES))
_SPELLED = re.compile(
    rf"(?<![\w/.:`*-])/(?:{_NAMED})(?![\w/.*-])|countersign (?:show|reply|approve|doctor|list|undo|retry|queue|why)\b"
)
_OWN_WORDS = ("bot/cli/", "bot/doctor", "bot/cards/problem_text.py", "bot/commands/")
"""The command line's own words, and the tables that the forms come from."""
_OPERATORS = (
    "bot/configuration/home.py",
    "bot/wiring/database_file.py",
    "bot/operations/init.py",
    "bot/surfaces/telegram/doctor_checks.py",
    "bot/surfaces/settings.py",
    "bot/web/api/examples.py",
)
"""What only ``countersign`` itself prints, and examples of what the API answers: a problem's command as text."""


def _texts(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
        if " " in node.value.strip()
    ]


def test_chat_15_no_text_of_ours_spells_a_command():
    spelled = [
        f"{path.relative_to(ROOT)}: {text}"
        for folder in ("core", "lanes", "policies", "bot")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not str(path.relative_to(ROOT)).startswith(_OWN_WORDS + _OPERATORS)
        for text in _texts(path)
        if _SPELLED.search(text)
    ]
    assert spelled == []
