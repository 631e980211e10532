"""Task documents for the tests of cards, built as `TaskDocument.to_json` writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
DIGEST = "9c1e04ab77d2e85b1f36" + "0" * 44
EARLIER = "0" * 12 + "9" * 52

DIFF = b"""\
diff --git a/docs/install.md b/docs/install.md
index 1111111111111111111111111111111111111111..2222222222222222222222222222222222222222 100644
--- a/docs/install.md
+++ b/docs/install.md
@@ -4,4 +4,5 @@ Install
 First
-pip install countersign
+pipx install countersign-bot
+countersign init
 Then
 look
"""


def at(**ago: float) -> str:
    return (NOW - timedelta(**ago)).isoformat()


def file(path: str = "docs/install.md", status: str = "M", added: int | None = 2, removed: int | None = 1, **rest: Any):
    modes = {"A": ("000000", "100644"), "D": ("100644", "000000")}.get(status, ("100644", "100644"))
    row = {"path": path, "status": status, "added": added, "removed": removed, "old_mode": modes[0], "mode": modes[1]}
    return {**row, **rest}


def finding(check: str, verdict: str = "pass", detail: str = "", path: str | None = None) -> dict[str, Any]:
    return {"check": check, "verdict": verdict, "detail": detail, "path": path}


def needs(count: int = 1, of: tuple[str, ...] = ("lee", "docs-team"), have: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"rule": "docs-changes", "count": count, "of": list(of), "have": list(have)}


def staged_diff(**changes: Any) -> dict[str, Any]:
    return {
        "digest": DIGEST,
        "repository": "local:web",
        "base": "3f2a91c" + "0" * 33,
        "tree": "b" * 40,
        "files": [file()],
        "guard": [finding("paths"), finding("size"), finding("secrets"), finding("tests", detail="118")],
        "needs": [needs()],
        **changes,
    }


def document(state: str = "received", **changes: Any) -> dict[str, Any]:
    return {
        "number": 142,
        "state": state,
        "repo": "web",
        "requester": "ana",
        "title": "Fix install steps",
        "lane": "docs",
        "rule": "docs-changes",
        "reason": "a member may change docs/** with one approval",
        "revision": 1,
        "priority": 0,
        "deadline": None,
        "after": None,
        "created_at": at(minutes=9),
        "updated_at": at(minutes=2),
        "expires_at": None,
        "queue": None,
        "question": None,
        "staged": None,
        "approvals": [],
        "pull_request": None,
        "turns": [turn(1, "fix the install steps in docs/install.md")],
        "artifacts": [],
        "error": None,
        **changes,
    }


def turn(n: int, text: str, person: str = "ana", revision: int = 1) -> dict[str, Any]:
    return {"n": n, "person": person, "surface": "terminal", "text": text, "at": at(minutes=9), "revision": revision}


def approval(person: str = "lee", verdict: str = "approve", digest: str = DIGEST, **rest: Any) -> dict[str, Any]:
    said = {"person": person, "verdict": verdict, "digest": digest, "at": at(minutes=5), "surface": "terminal"}
    return {**said, **rest}


def pull_request(**changes: Any) -> dict[str, Any]:
    return {
        "number": 7,
        "url": "file:///srv/web.git#7",
        "branch": "countersign/142-fix-install-steps",
        "head": "c" * 40,
        "state": "open",
        "revision": 1,
        "digest": DIGEST,
        **changes,
    }


def error(code: str, message: str, mend: str, kind: str) -> dict[str, str]:
    return {"code": code, "message": message, "mend": mend, "kind": kind}


def staged(**changes: Any) -> dict[str, Any]:
    return document("staged", staged=staged_diff(), expires_at=at(days=-13, hours=-1), **changes)


def asking() -> dict[str, Any]:
    question = {"about": "repository", "text": "Which repository is it in?", "options": ["web", "site docs"]}
    return document("asking", repo=None, lane=None, rule=None, reason="", question=question, expires_at=at(days=-7))


def queue_place(**changes: Any) -> dict[str, Any]:
    """The ``queue`` object of a task whose work begins in four to nine minutes."""
    wait = {"eta_s": 360, "eta_low_s": 240, "eta_high_s": 540, "done_s": None, "done_low_s": None, "done_high_s": None}
    promise = {"promised_at": None, "is_late": False, "needs_worker": False}
    rest = {"waits_for": None, "problem": None, "progress": None, "next_try_at": None, "why": ""}
    return {"position": 1, "before": 0, **wait, **promise, **rest, **changes}


def queued() -> dict[str, Any]:
    place = queue_place(position=2, before=1, problem="the forge did not answer", why="1 job goes before it.")
    return document("queued", queue=place, priority=5, deadline=at(hours=-3))


def refused_by_guard() -> dict[str, Any]:
    blocked = staged_diff(
        files=[
            file(),
            file(".github/workflows/ci.yml", "A", 12, 0),
            file("tools/run.sh", mode="100755", added=0, removed=0),
            file("docs/old.md", "D", 0, 40),
            file("package-lock.json", added=3, removed=3),
        ],
        guard=[
            finding("paths", "block", "protected in every lane", ".github/workflows/ci.yml"),
            finding("paths", "block", "not among the lane's paths", "tools/run.sh"),
            finding("size"),
            finding("secrets"),
            finding("manifests", "warn", "a lock file changed without its manifest", "package-lock.json"),
        ],
    )
    said = "the guard blocked this change: paths: protected in every lane (.github/workflows/ci.yml), and 1 more"
    mend = "See every finding with `countersign show`; reply to change what is asked."
    return document("refused", staged=blocked, error=error("guard_blocked", said, mend, "blocked"))


def published() -> dict[str, Any]:
    said = [approval(), approval("kim", digest=EARLIER)]
    return document("published", staged=staged_diff(), approvals=said, pull_request=pull_request())


def failed() -> dict[str, Any]:
    said = error(
        "not_understood", "no one could read that as a change", 'Say it like "set a.b to 1 in x.yaml".', "failed"
    )
    return document("failed", error=said, lane=None, rule=None, reason="")


def rejected() -> dict[str, Any]:
    said = [approval(verdict="reject", reason="say pipx on Debian too")]
    problem = error("rejected", "lee rejected revision 1: say pipx on Debian too", "Reply to change it.", "refused")
    return document("rejected", staged=staged_diff(), approvals=said, error=problem)


def second_revision() -> dict[str, Any]:
    turns = [turn(1, "fix the install steps in docs/install.md"), turn(2, "say pipx on Debian too", "kim", 2)]
    return {**staged(), "revision": 2, "turns": turns}
