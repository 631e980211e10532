"""Real git merges into a branch that moved on: whatever happened there, only the countersigned patch is let through."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.model.errors import ConflictError
from core.rules.merge_result import merge_difference
from tests import campaign
from tests.integration.lanes import origin

pytestmark = [pytest.mark.lanes, pytest.mark.law]

LINES = [f"line {n}\n" for n in range(30)]
START = {"src/a.py": "".join(LINES), "src/b.py": "".join(LINES[:20]), "docs/c.md": "hello\n"}
EDITS = st.lists(
    st.tuples(st.sampled_from([*START, "src/new.py"]), st.sampled_from(["first", "middle", "last", "drop", "move"])),
    min_size=1,
    max_size=3,
)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return origin.remote(tmp_path_factory.mktemp("moved") / "origin.git", START)


def edited(files: dict[str, str], edits: list[tuple[str, str]], mark: str) -> dict[str, str]:
    """The files after some edits of one side, which writes `mark`."""
    after = dict(files)
    for path, where in edits:
        lines = after.get(path, "").splitlines(keepends=True)
        if where == "drop":
            after.pop(path, None)
        elif where == "move" and path in after:
            after[f"moved/{Path(path).name}"] = after.pop(path)
        else:
            lines.insert({"first": 0, "middle": len(lines) // 2}.get(where, len(lines)), f"{mark}\n")
            after[path] = "".join(lines)
    return after


@settings(
    max_examples=10_000 if campaign.WHOLE else 20,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(ours=EDITS, theirs=EDITS)
async def test_no_merge_passes_whose_result_is_not_base_and_patch(bare, tmp_path_factory, ours, theirs):
    base = origin.line("rev-parse", "main", at=bare)
    repo = origin.store(bare, bare.parent / "state")
    approved, moved = edited(START, ours, "ours"), edited(START, theirs, "theirs")
    head, main = (
        origin.commit(bare, origin.plant(bare, {p.encode(): ("100644", t.encode()) for p, t in files.items()}), base)
        for files in (approved, moved)
    )
    for commit in (head, main):
        origin.git("update-ref", f"refs/heads/at-{commit}", commit, at=bare)
        await asyncio.to_thread(repo.remote.fetch, f"refs/heads/at-{commit}:refs/heads-seen/{commit}")
    try:
        tree = await repo.merged_tree(main, head)
    except ConflictError:
        return
    finally:
        origin.git("update-ref", "-d", f"refs/heads/at-{head}", at=bare)
    countersigned = await repo.change(base, await repo.tree_of(head))
    difference = merge_difference(countersigned, await repo.change(main, tree))
    touched = {path for path in {*START, *approved} if START.get(path) != approved.get(path)}
    expected = {path: text for path, text in moved.items() if path not in touched}
    expected |= {path: approved[path] for path in touched & {*approved}}
    found = await repo.read_files(tree, [path.decode() for path in await repo.list_paths(tree)], 1_000_000)
    is_patch = {p: t.decode() for p, t in found.items()} == expected
    assert (difference is None) == (is_patch and all(START.get(path) == moved.get(path) for path in touched))
