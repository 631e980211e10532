"""Executors say themselves whether they make known edits and nothing else; no name is compared."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import cast

import pytest

from core.model.errors import Kind, Problem
from core.ports.executor import Executor
from lanes.executors.checks import CheckedExecutor, CheckRunner
from lanes.executors.names import BUILT_IN
from lanes.wiring import ExecutorResources, build_executors

pytestmark = pytest.mark.lanes

ROOT = Path(__file__).parents[3]


class FromBefore:
    """A plugin's executor of a version that did not know the attribute."""

    name = "shout"
    reads = False


def test_of_the_built_in_executors_only_edit_is_deterministic(tmp_path):
    absent = Problem(Kind.UNAVAILABLE, "no_sandbox", "no sandbox")
    resources = ExecutorResources(tmp_path, lambda _kind: absent, lambda _names: pytest.fail("no model is asked"))
    have = build_executors(resources)
    assert set(have) == BUILT_IN
    assert [name for name, executor in sorted(have.items()) if executor.deterministic] == ["edit"]


def test_an_executor_that_does_not_say_so_is_not_deterministic(tmp_path):
    absent = Problem(Kind.UNAVAILABLE, "no_sandbox", "no sandbox")
    resources = ExecutorResources(tmp_path, lambda _kind: absent, lambda _names: pytest.fail("no model is asked"))
    have = build_executors(resources, {"shout": cast("Executor", FromBefore())})
    assert have["shout"].deterministic is False
    assert CheckedExecutor(have["edit"], CheckRunner(tmp_path, lambda _kind: absent)).deterministic is True


def test_nothing_compares_an_executor_with_a_name():
    compared = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for part in ("bot", "core", "lanes", "policies")
        for path in sorted((ROOT / part).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Compare)
        and any(isinstance(side, ast.Constant) and side.value == "edit" for side in (node.left, *node.comparators))
    ]
    assert compared == []
