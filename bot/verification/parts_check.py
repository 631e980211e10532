"""What `verify` says of a change that is a part of another: that git's trees are exactly the parts that were chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from core.model.errors import CountersignError
from core.model.part_selection import PartSelection, PickedPart
from core.model.staged_diff import StagedDiff
from core.model.task import Revision
from core.ports.repository import Repository
from lanes.executors.pick import selected_tree

NAME: Final = "parts"


async def parts_checks(
    repository: Repository, revisions: Sequence[Revision], predicate: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """A check for each choice of parts that led to the receipt's change, the newest first; none without one."""
    by_number = {revision.n: revision for revision in revisions}
    revision, checks = by_number.get(predicate["task"]["revision"]), []
    while revision is not None:
        whole = by_number.get(revision.basis.continue_from or 0)
        selection = revision.intent.selection if revision.intent else None
        if selection is not None:
            checks.append(await _check(repository, revision, selection, whole.staged if whole else None))
        revision = whole
    return checks


async def _check(
    repository: Repository, revision: Revision, selection: PartSelection, whole: StagedDiff | None
) -> dict[str, Any]:
    """Whether the revision's tree is the base with the selected parts of `whole`, as its event says."""
    part, kept = next(reversed(revision.basis.picked), None), revision.staged
    if part is None or whole is None or kept is None or part != PickedPart.of(selection, part.revision, part.person):
        return _result("fail", f"the parts of revision {revision.n} are not those that its event names")
    try:
        tree = await selected_tree(repository, whole.base, whole.tree, selection)
    except CountersignError as error:
        return _result("warn", f"git here cannot make the parts of revision {revision.n}: {error.problem.message}")
    if tree != kept.tree:
        return _result("fail", f"revision {revision.n} is not what its parts of revision {part.revision} make")
    return _result("ok", f"revision {revision.n} is exactly {part.words}: {selection.words}")


def _result(verdict: str, detail: str) -> dict[str, Any]:
    mend = {"ok": "", "warn": "Run it where the home's git stores are."}.get(
        verdict, "The database was modified outside Countersign."
    )
    return {"name": NAME, "verdict": verdict, "detail": detail, "mend": mend}
