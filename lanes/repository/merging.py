"""Three-way merges of trees, by git, without a work tree."""

from __future__ import annotations

from core.model.change import show_path
from core.model.errors import ConflictError, PermanentError
from lanes.repository.store import Store, check_oid


def revert(store: Store, commit: str, onto: str) -> str:
    """The tree of `onto` with the change from `commit`'s first parent to `commit` taken back."""
    before, after = store.tree_of(store.first_parent(commit)), store.tree_of(commit)
    try:
        return _merge_trees(store, after, store.tree_of(onto), before)
    except ConflictError as conflict:
        raise PermanentError(
            "revert_conflict",
            f"Taking back {commit[:12]} does not apply any more: {conflict.problem.message}",
            "Later changes touch the same lines; ask for the edit in words.",
        ) from conflict


def rebase(store: Store, onto: str, head: str) -> str:
    """The last of the commits of `head` that `onto` lacks, each made anew on top of it; may raise `ConflictError`.

    The same arguments give the same id; a commit that changes nothing any more is kept.
    """
    store.ensure()
    at = onto
    range_ = (check_oid(head), f"^{check_oid(onto)}")
    for commit in store.git.line("rev-list", "--reverse", "--topo-order", "--first-parent", *range_).split():
        before = store.tree_of(store.first_parent(commit))
        tree = _merge_trees(store, before, store.tree_of(at), store.tree_of(commit))
        made_s = max(store.committed_at_s(at), store.committed_at_s(commit))
        at = store.commit_tree(tree, [at], store.message_of(commit), made_s)
    return at


def _merge_trees(store: Store, base: str, ours: str, theirs: str) -> str:
    """The tree of a three-way merge of trees.

    merge-tree learnt --merge-base in 2.40; three commits with that base ask the same of 2.38.
    """
    root = store.commit_tree(base, [], "base", 0)
    return merge(store, store.commit_tree(ours, [root], "ours", 0), store.commit_tree(theirs, [root], "theirs", 0))


def merge(store: Store, ours: str, theirs: str) -> str:
    """The tree that merging two commits gives; raises `ConflictError` naming the paths that do not merge."""
    store.ensure()
    options = ("--write-tree", "-z", "--name-only", "--no-messages")
    merged = store.git.run("merge-tree", *options, check_oid(ours), check_oid(theirs), ok=(0, 1))
    tree, *paths = (part for part in merged.out.split(b"\0") if part)
    if merged.code == 1:
        shown = ", ".join(show_path(path) for path in dict.fromkeys(paths[:5]))
        raise ConflictError("merge_conflict", f"both sides changed {shown}", "Reply to it to make it anew.")
    return tree.decode()
