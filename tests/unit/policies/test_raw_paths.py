r"""Policy and guard judge a path by its bytes, also one that was stored; how it is shown decides nothing.

A path that is shown escaped is another path than the one that its escapes spell: ``docs/\x0aa`` is a name with a
backslash to whoever reads the text, and a line break to git.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.model.change import FileChange
from core.model.lane import Lane
from core.model.staged_diff import GuardReport, StagedDiff, digest_of, stage
from policies.checks import Scope
from policies.checks.names import check_names
from policies.globs import Globs
from policies.policy import RulePolicy
from policies.protected import protected
from policies.rules import Rules
from tests.builders import added_file, change, terms
from tests.unit.policies.cases import CREW, blocked, judged

pytestmark = pytest.mark.law

ODD = Lane("odd", "odd names", ("docs/**", "**/*.env?"), "edit", odd_names=True)
POLICY = RulePolicy(Rules(()), CREW, {"odd": ODD})
ZERO_WIDTH = "docs/.e\u200bnv"


def stored(path: bytes) -> StagedDiff:
    """A staged diff as it is read back from its row."""
    staged = stage(change(added_file(path)), GuardReport(()))
    return StagedDiff.from_json(json.loads(json.dumps(staged.to_json())))


def held(path: bytes) -> str | None:
    return POLICY.objection_to_files("odd", terms(), stored(path).changes)


@given(st.binary(min_size=1, max_size=24))
@example(b"docs/\xff\n\\x0a")
@example("docs/\u0080".encode())
@example(b"docs/\x80")
def test_a_stored_path_is_judged_by_the_bytes_that_git_has(path):
    file = added_file(path)
    again = stored(path)
    assert [one.path for one in again.changes] == [path]
    assert again.is_as_digested
    assert again.digest == digest_of("repo-1", again.base, [file])
    assert held(path) == POLICY.objection_to_files("odd", terms(), [file])


def test_a_protected_path_is_held_though_it_is_shown_as_another():
    assert "\\u{200b}" in added_file(ZERO_WIDTH.encode()).shown_path
    assert protected().denies(added_file(ZERO_WIDTH.encode()).shown_path.encode()) is None, "as it is shown"
    assert "may not be changed in any lane (by **/.env)" in (held(ZERO_WIDTH.encode()) or "")


def test_a_path_outside_the_lane_is_held_though_it_is_shown_inside():
    r"""``?`` is one character: the line break of the path, not the four that show it."""
    inside, shown_alike = b"x.env\n", b"x.env\\x0a"
    write = Globs(ODD.write)
    assert write.covers(inside)
    assert write.covers(added_file(inside).shown_path.encode()) is None, "as it is shown"
    assert "outside lane odd" not in (held(inside) or "")
    assert "outside lane odd" in (held(shown_alike) or "")


async def test_the_guard_says_the_same_of_the_tree():
    assert blocked(await judged({ZERO_WIDTH.encode(): b"x"}, lane=ODD), "protected")
    assert not blocked(await judged({b"x.env\n": b"x"}, lane=ODD), "paths")
    assert blocked(await judged({b"x.env\\x0a": b"x"}, lane=ODD), "paths")


def test_two_paths_that_are_shown_alike_are_both_judged():
    files = (added_file(b"docs/\x80"), added_file("docs/\u0080".encode()))
    assert len({file.shown_path for file in files}) == 1
    scope = Scope(files, replace(ODD, odd_names=False), ODD.limits, Globs(ODD.write), protected())
    assert len(check_names(scope)) == 2


def test_a_row_of_an_older_version_is_read_as_before():
    row = {"path": "docs/a.md", "status": "A", "added": 1, "removed": 0, "old_mode": "000000", "mode": "100644"}
    assert FileChange.from_json(row).path == b"docs/a.md"
