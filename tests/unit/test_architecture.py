"""What import-linter cannot see of the house: who opens transactions, and that one name means one thing."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


def modules(*roots: str) -> Iterator[tuple[str, ast.Module]]:
    """Every module below `roots`: its path from the repository's root, and its syntax tree."""
    for root in roots:
        for path in sorted((ROOT / root).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def opens_transactions(tree: ast.Module) -> bool:
    """Whether a module calls ``database.read`` or ``database.write``, whatever object the database belongs to."""
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("read", "write")
        and _name(node.func.value).strip("_") == "database"
        for node in ast.walk(tree)
    )


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def test_front_ends_open_no_transactions():
    found = {path for path, tree in modules("bot") if not path.startswith("bot/wiring/") and opens_transactions(tree)}
    assert found == set(), "move these transactions into a class of core.services"


def test_a_call_of_the_database_is_found_in_every_form():
    for call in ("self.database.read(x)", "app.database.write(x)", "self._database.read(x)", "database.write(x)"):
        assert opens_transactions(ast.parse(f"async def work():\n    await {call}\n"))
    assert not opens_transactions(ast.parse("self.files.read(x)\nself.queries.read(x)\n"))


def test_no_two_public_classes_share_a_name():
    places = defaultdict(list)
    for path, tree in modules("bot", "core", "lanes", "policies"):
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(path)
    shared = {name: paths for name, paths in places.items() if len(paths) > 1}
    assert shared == {}
