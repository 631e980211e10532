"""Merges, reverts and rebases commits, without a work tree."""

from __future__ import annotations

from core.model.change import show_path
from core.model.errors import ConflictError, PermanentError
from lanes.repository.git_names import check_oid
from lanes.repository.store import Store


def revert(store: Store, commit: str, onto: str) -> str:
    """The tree of `onto` with the change from the first parent of `commit` to `commit` reverted."""
    before, after = store.tree_of(store.first_parent(commit)), store.tree_of(commit)
    try:
        return _merge_trees(store, after, store.tree_of(onto), before)
    except ConflictError as conflict:
        raise PermanentError(
            "revert_conflict",
            f"{commit[:12]} cannot be reverted: {conflict.problem.message}",
            "Later changes touch the same lines; ask for the edit in words.",
        ) from conflict


def rebase(store: Store, onto: str, head: str) -> str:
    """Repeat the commits of `head` that `onto` does not have on top of `onto`; the id of the last.

    The same arguments give the same id; a commit that no longer changes anything is kept. Raises `ConflictError`.
    """
    store.ensure()
    tip = onto
    range_ = (check_oid(head), f"^{check_oid(onto)}")
    for commit in store.git.line("rev-list", "--reverse", "--topo-order", "--first-parent", *range_).split():
        before = store.tree_of(store.first_parent(commit))
        tree = _merge_trees(store, before, store.tree_of(tip), store.tree_of(commit))
        at_s = max(store.committed_at_s(tip), store.committed_at_s(commit))
        tip = store.commit_tree(tree, [tip], store.message_of(commit), at_s)
    return tip


def _merge_trees(store: Store, base: str, ours: str, theirs: str) -> str:
    """The tree of a three-way merge of trees.

    git merge-tree has --merge-base since 2.40; three commits with that base give the same result in 2.38.
    """
    root = store.commit_tree(base, [], "base", 0)
    return merge(store, store.commit_tree(ours, [root], "ours", 0), store.commit_tree(theirs, [root], "theirs", 0))


def merge(store: Store, ours: str, theirs: str) -> str:
    """The tree of the merge of two commits; raises `ConflictError` with the paths that conflict."""
    store.ensure()
    options = ("--write-tree", "-z", "--name-only", "--no-messages")
    merged = store.git.run("merge-tree", *options, check_oid(ours), check_oid(theirs), ok=(0, 1))
    tree, *paths = (part for part in merged.out.split(b"\0") if part)
    if merged.code == 1:
        shown = ", ".join(show_path(path) for path in dict.fromkeys(paths[:5]))
        raise ConflictError(
            "merge_conflict", f"Both sides changed {shown}", "Reply to the task to make the change again."
        )
    return tree.decode()
