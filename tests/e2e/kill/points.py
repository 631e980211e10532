"""The named points between two effects, read from the code itself, so that none can be added and forgotten here."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

from core.jobs.job_context import JobStep
from core.model.job import JobKind
from core.model.lifecycle import Fact
from core.queue.steps import STEPS

ROOT = Path(__file__).parents[3]
PACKAGES = ("bot", "core", "lanes", "policies")


def all_points() -> set[str]:
    """Every name that `milestones.reached` is called with, the computed ones spelled out."""
    return {name for package in PACKAGES for file in (ROOT / package).rglob("*.py") for name in _points_of(file)}


def endings() -> Iterator[tuple[JobKind, Fact]]:
    """Every fact that a job of a kind can end with."""
    for kind, steps in STEPS.items():
        if kind is not JobKind.READ:  # what was said to a task does not fail it
            yield kind, Fact.FAILED  # the worker's own verdict on a fault
        for _, step in steps:
            for fact in _facts_of(step):
                yield kind, fact


def _points_of(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "reached":
            yield from _names(node.args[0], file)


def _names(point: ast.expr, file: Path) -> Iterator[str]:
    match ast.unparse(point):
        case "f'{job.kind.value}.claimed'":
            yield from (f"{kind}.claimed" for kind in JobKind)
        case "f'{job.kind.value}.before_{fact.value}'":
            yield from (f"{kind}.before_{fact}" for kind, fact in endings())
        case "f'{job.kind.value}.{fact.value}'":
            yield from (f"{kind}.{fact}" for kind, fact in endings())
        case text:
            name = ast.literal_eval(point) if isinstance(point, ast.Constant) else None
            assert isinstance(name, str), f"{file}: {text} is a point that this module cannot spell out"
            yield name


def _facts_of(step: JobStep) -> Iterator[Fact]:
    """The facts that `step`, with the functions of its module that it uses, finishes a job with."""
    tree = ast.parse(inspect.getsource(sys.modules[step.__module__]))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    found, look = set(), [step.__name__]
    while look:
        name = look.pop()
        if name in found or name not in functions:
            continue
        found.add(name)
        for node in ast.walk(functions[name]):
            if isinstance(node, ast.Name):
                look.append(node.id)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "finish":
                yield from _named(node.args[1])


def _named(fact: ast.expr) -> Iterator[Fact]:
    for node in ast.walk(fact):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Fact":
            yield Fact[node.attr]
