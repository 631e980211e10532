"""The `edit` executor: applies an intent's edits to git trees, without a checkout, a model or a sandbox."""

from __future__ import annotations

from typing import Final

from core.model.advice import CommandName, Suggestion, advise
from core.model.errors import Kind, PermanentError, Problem
from core.model.lane import Lane
from core.ports.executor import ExecutorResult, WorkOrder
from core.ports.repository import Repository
from lanes.executors.apply_edits import apply_edits
from lanes.executors.errors import EditError
from lanes.executors.pick import kept_tree
from lanes.repository import as_git

_KINDS: Final = {
    "no_such_file": Kind.MISSING,
    "no_such_key": Kind.MISSING,
    "not_found": Kind.MISSING,
    "too_large": Kind.BLOCKED,
}


class EditExecutor:
    """Makes deterministic edits; also reverts an earlier change and picks parts of a staged one."""

    name = "edit"
    reads = False
    deterministic = True

    def unavailable(self, lane: Lane) -> Problem | None:  # noqa: ARG002 - the port's signature
        """Always None, since it needs only git."""
        return None

    def needs(self, lane: Lane) -> frozenset[str]:
        """What the lane requires; the executor itself requires nothing."""
        return frozenset(lane.needs)

    async def produce(self, order: WorkOrder, repository: Repository) -> ExecutorResult:
        """The tree with the order's edits, or the revert; raises `PermanentError` that suggests what to ask instead."""
        git = as_git(repository)
        if order.intent.revert_of is not None:
            return ExecutorResult(await reverted_tree(order, repository), {})
        if order.intent.keeps_parts:
            return ExecutorResult(await kept_tree(order, repository), {})
        if not order.intent.edits:
            raise PermanentError(
                "not_understood",
                f"The lane {order.lane.name} makes edits by rule and found none in the request",
                "Say for example: set KEY to VALUE in FILE; replace X with Y in FILE; create FILE with TEXT.",
                kind=Kind.USAGE,
            )
        try:
            tree = await git.rewrite(order.start, lambda files: apply_edits(order.intent.edits, files))
        except EditError as error:
            kind = _KINDS.get(error.code, Kind.FAILED)
            raise PermanentError(error.code, error.message, error.mend, kind=kind) from error
        return ExecutorResult(tree, {})


async def reverted_tree(order: WorkOrder, repository: Repository) -> str:
    """The order's start tree without the change of the commit to revert."""
    assert order.intent.revert_of is not None
    start = order.start
    if start != await repository.tree_of(order.base):
        raise PermanentError(
            "revert_on_top",
            "A change can be reverted only on the branch itself, not on top of another revision",
            advise("Ask for ", Suggestion(CommandName.UNDO), " again."),
        )
    return await repository.revert(order.intent.revert_of, order.base)
