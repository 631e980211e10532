"""What `make test` takes a share of, and `make campaigns` the whole: products of cases that take long.

`make test` still meets every attack, every point, every command; a campaign meets each of them in every way.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import Final

import pytest

from tests import postgres

WHOLE: Final = os.environ.get("COUNTERSIGN_CAMPAIGNS") == "all"
"""Whether the long campaigns run whole."""

BY_TURNS: Final = pytest.mark.by_turns
"""`BY_TURNS("axis")`: `make test` runs each case with one value of this parameter, by turns with every one."""

EITHER: Final = BY_TURNS("dialect")
"""Marks tests of what both databases serve alike: `make test` runs each case on one of them."""
ON_BOTH: Final = BY_TURNS()
"""Marks one test among them that is about the databases after all."""

_Case = tuple[str, str, str, tuple[tuple[str, int], ...]]


def left_out(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Of the cases that take turns, those that are left to the campaigns; a lone database has all cases."""
    if WHOLE:
        return []
    ways: dict[_Case, list[pytest.Item]] = {}
    for item in items:
        mark = item.get_closest_marker(BY_TURNS.name)
        if mark and mark.args and (case := _case_of(item, mark.args[0])):
            ways.setdefault(case, []).append(item)
    turn: Counter[str] = Counter()
    left: list[pytest.Item] = []
    for (file, axis, *_), in_each_way in ways.items():
        if len(in_each_way) == 1:  # asked for by its name
            continue
        only_sqlite = axis == EITHER.args[0] and postgres.programs() is None
        chosen = 0 if only_sqlite else _turn(turn[file], len(in_each_way))
        turn[file] += 1
        left += in_each_way[:chosen] + in_each_way[chosen + 1 :]
    return left


def _case_of(item: pytest.Item, axis: str) -> _Case | None:
    """The file, the axis, and what else tells the case from others; None where it does not vary along that axis."""
    params = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    if axis not in params:
        return None
    others = sorted((name, id(value)) for name, value in params.items() if name != axis)
    return item.nodeid.partition("::")[0], axis, item.nodeid.partition("[")[0], tuple(others)


def _turn(n: int, ways: int) -> int:
    """Which of two or more ways has the n-th turn, after Thue and Morse: neighbours differ, and there is no period."""
    digits = 0
    while n:
        n, digit = divmod(n, ways)
        digits += digit
    return digits % ways
