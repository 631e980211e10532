"""Three-way merges of trees, by git, without a work tree."""

from __future__ import annotations

from core.change import show_path
from core.errors import ConflictError, PermanentError
from lanes.repository.store import Store, check_oid


def revert(store: Store, commit: str, onto: str) -> str:
    """The tree of `onto` with the change from `commit`'s first parent to `commit` taken back."""
    before, after = store.tree_of(store.first_parent(commit)), store.tree_of(commit)
    # merge-tree learnt --merge-base in 2.40; three commits with that base ask the same of 2.38.
    base = store.commit_tree(after, [], "base", 0)
    ours = store.commit_tree(store.tree_of(onto), [base], "ours", 0)
    theirs = store.commit_tree(before, [base], "theirs", 0)
    try:
        return merge(store, ours, theirs)
    except ConflictError as conflict:
        raise PermanentError(
            "revert_conflict",
            f"Taking back {commit[:12]} does not apply any more: {conflict.problem.message}",
            "Later changes touch the same lines; ask for the edit in words.",
        ) from conflict


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
