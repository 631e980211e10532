"""Front ends that serve several people name who looks: no page, route, tool or chat reads as the system."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.law

ROOT = Path(__file__).parents[2]
FRONT_ENDS = ("bot/web", "bot/mcp", "bot/messaging", "bot/surfaces")
FOR_THE_SYSTEM = {
    "bot/messaging/card_delivery.py": {"document"},  # draws the card of a place, for everyone there
    "bot/web/site/live.py": {"events"},  # only the numbers, which are filtered for each viewer
}
"""What reads as the system, and why."""
OF_THE_OPERATOR = frozenset({"list", "events", "last_event"})
"""Methods of `Queries` that show everything, for the operator on the terminal."""


def services() -> Iterator[tuple[str, ast.AsyncFunctionDef]]:
    """(class, method) of every public method of a service."""
    for path in sorted((ROOT / "core/services").glob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                for method in node.body:
                    if isinstance(method, ast.AsyncFunctionDef) and not method.name.startswith("_"):
                        yield node.name, method


def optional_actor() -> set[str]:
    """The methods that act for the system if no actor is given."""
    found = set()
    for _, method in services():
        arguments = [*method.args.args, *method.args.kwonlyargs]
        defaults = [*method.args.defaults, *method.args.kw_defaults]
        has_actor = any(argument.arg == "actor" for argument in arguments)
        if has_actor and any(isinstance(default, ast.Name) and default.id == "SYSTEM" for default in defaults):
            found.add(method.name)
    return found


def calls(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node


def test_every_look_of_a_person_names_them():
    names, tried = optional_actor(), set()
    assert {"document", "page", "queue", "figures", "since", "counts", "activity", "list"} <= names
    for folder in FRONT_ENDS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            where = str(path.relative_to(ROOT))
            for call in calls(path):
                assert isinstance(call.func, ast.Attribute)
                owner, name = ast.unparse(call.func.value).rpartition(".")[2], call.func.attr
                if name not in names or owner not in SERVICES or name in FOR_THE_SYSTEM.get(where, ()):
                    continue
                given = [*call.args, *(keyword.value for keyword in call.keywords)]
                tried.add((owner, name))
                assert any("actor" in ast.unparse(each) for each in given), (where, ast.unparse(call))
    assert len(tried) > 6, tried


SERVICES = frozenset(
    {"documents", "task_search", "queries", "schedules", "spending", "home_checks", "insight", "task_works"}
)
"""The names under which front ends reach the services with such methods."""


def test_what_shows_everything_is_left_to_the_terminal():
    for folder in FRONT_ENDS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            where = str(path.relative_to(ROOT))
            for call in calls(path):
                assert isinstance(call.func, ast.Attribute)
                owner = ast.unparse(call.func.value).rpartition(".")[2].removeprefix("_")
                if owner == "queries" and call.func.attr in OF_THE_OPERATOR:
                    assert call.func.attr in FOR_THE_SYSTEM.get(where, ()), (where, ast.unparse(call))
