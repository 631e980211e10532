"""The error for a refused push, from real answers of git, GitHub and GitLab."""

from __future__ import annotations

import pytest

from lanes.repository.faults import explain, push_refusal
from lanes.repository.running import GitError

PORCELAIN = "To /srv/web.git\n!\t{oid}:refs/heads/countersign/1-x\t[remote rejected] ({reason})\nDone\n"
OID = "0123456789abcdef0123456789abcdef01234567"
ANSWERS = [
    (
        "protected branch hook declined",
        "remote: error: GH006: Protected branch update failed.\nremote: \nremote: - Use a pull request.\n",
        "its rules protect this branch",
        "- Use a pull request.",
    ),
    (
        "push declined due to repository rule violations",
        "remote: error: GH013: Repository rule violations found for refs/heads/x.\nremote: - Cannot create ref.\n",
        "its rules protect this branch",
        "- Cannot create ref.",
    ),
    (
        "pre-receive hook declined",
        "remote: Ticket missing in refs/heads/countersign/1-x.\nremote: See https://bot:hunter2@example.com/rules\n",
        "a hook there declined it",
        "Ticket missing in countersign/1-x. See https://example.com/rules",
    ),
    (
        "pre-receive hook declined",
        "remote: GitLab: You are not allowed to push code to this project.\n",
        "Countersign may not push to it",
        "GitLab: You are not allowed to push code to this project.",
    ),
    (
        "refusing to allow an app to update workflow `.github/workflows/ci.yml` without `workflows` permission",
        "",
        "its token may not change workflows",
        "",
    ),
    ("shallow update not allowed", "", "it is a shallow clone, which accepts no new history", ""),
    ("unpacker error", "remote: fatal: unable to write\n", "it could not store the commits", "fatal: unable to write"),
    (f"deny updating a hidden ref {OID}", "", "deny updating a hidden ref 0123456", ""),
]


@pytest.mark.parametrize(("reason", "err", "why", "quoted"), ANSWERS)
def test_a_refused_push_says_why_without_raw_references(reason: str, err: str, why: str, quoted: str):
    problem = push_refusal(PORCELAIN.format(oid=OID, reason=reason), err, "web", "countersign/1-x").problem
    assert problem.code == "push_refused"
    says = f" Its message: “{quoted}”" if quoted else ""
    assert problem.message == f"The repository web refused the branch countersign/1-x: {why}.{says}"
    assert problem.mend


def test_a_push_without_permission_says_so():
    err = "remote: Permission to o/web.git denied to bot.\nfatal: unable to access 'https://x:t@h/o/web.git/': 403\n"
    problem = explain(GitError("push", 128, err), "web").problem
    assert problem.code == "no_access"
    assert problem.message.startswith(
        "The repository web does not let Countersign push: remote: Permission to o/web.git"
    )
    assert "x:t@" not in problem.message
    assert problem.mend == "Grant its key or token the permission to push."
