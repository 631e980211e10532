"""Examples of what the API answers, by the name of the schema; a test checks each against its schema."""

from __future__ import annotations

from typing import Any, Final

_AT: Final = "2026-05-04T12:00:00+00:00"
_DIGEST: Final = "9c1e04ab77d2e85b1f36" + "0" * 44
_SUMMARY: Final[dict[str, Any]] = {
    "number": 12,
    "state": "staged",
    "repo": "web",
    "requester": "ana",
    "title": "set server.timeout to 30 in config/app.yaml",
    "lane": "config",
    "revision": 1,
    "digest": _DIGEST,
    "priority": 0,
    "updated_at": _AT,
}
_TURN: Final = {"n": 1, "person": "ana", "surface": "api", "text": "set server.timeout to 30 in config/app.yaml"}
_TASK: Final[dict[str, Any]] = {
    **{key: _SUMMARY[key] for key in ("number", "state", "repo", "requester", "title", "lane", "revision")},
    "rule": "config-changes",
    "reason": "rule config-changes allows it",
    "queue": None,
    "staged": {
        "digest": _DIGEST,
        "base": "b" * 40,
        "tree": "c" * 40,
        "files": [
            {
                "path": "config/app.yaml",
                "status": "M",
                "added": 1,
                "removed": 1,
                "old_mode": "100644",
                "mode": "100644",
            }
        ],
        "guard": [{"check": "paths", "verdict": "pass", "detail": "all paths are inside the lane", "path": None}],
        "needs": [{"rule": "config-changes", "count": 1, "of": ["lee"], "have": []}],
    },
    "approvals": [],
    "pull_request": None,
    "turns": [{**_TURN, "at": _AT, "revision": 1}],
    "artifacts": [{"name": "change.patch", "sha256": "d" * 64, "size_bytes": 214, "revision": 1}],
    "making": None,
    "model": None,
    "parameters": {},
    "picked": [],
    "read_by": "grammar",
    "error": None,
}
_EVENT: Final[dict[str, Any]] = {
    "id": 41,
    "task": 12,
    "seq": 3,
    "kind": "task.staged",
    "at": _AT,
    "person": None,
    "surface": None,
    "body": {"state": "staged", "revision": 1, "digest": _DIGEST},
    "previous": "0" * 64,
    "hash": "1" * 64,
}
_SCHEDULE: Final[dict[str, Any]] = {
    "id": "sch_01k5",
    "person": "ana",
    "text": "bump ruff to 0.14.0 in requirements.txt",
    "repo": "web",
    "state": "active",
    "zone": "Europe/Zurich",
    "next": "2026-05-05T09:00:00+00:00",
    "last": None,
}

EXAMPLES: Final[dict[str, Any]] = {
    "Task": _TASK,
    "TaskPage": {"tasks": [_SUMMARY], "next_before": 12},
    "Parts": {
        "task": 12,
        "revision": 1,
        "digest": _DIGEST,
        "parts": [
            {
                "n": 1,
                "id": "4f0c1d9a77be20c3a5d1",
                "file": "b07c55e1f93d4c20a8e6",
                "path": "config/app.yaml",
                "lines": {"old": {"first": 1, "count": 7}, "new": {"first": 1, "count": 8}},
                "label": "1: config/app.yaml, lines 1-8",
            },
            {
                "n": 2,
                "id": "d2b91c0e6f5a48377c1b",
                "file": "d2b91c0e6f5a48377c1b",
                "path": "docs/a.md",
                "lines": None,
                "label": "2: docs/a.md",
            },
        ],
    },
    "Artifacts": {"artifacts": _TASK["artifacts"]},
    "EventPage": {"events": [_EVENT], "last_id": 41},
    "Queue": {"paused": None, "pauses": [], "jobs": [], "loading": {}, "others": {"running": 0, "waiting": 0}},
    "Paused": {"paused": {"reason": "the build machines move", "by": "lee"}},
    "Moved": {"task": 142, "moved": {"to": "before", "before": 140, "reason": ""}, "position": 3},
    "Endpoints": {"endpoints": [{"name": "local", "state": "up", "models": []}]},
    "Drained": {"endpoint": "local", "drained": {"reason": "new driver", "by": "lee", "at": _AT}},
    "Nodes": {"nodes": [{"name": "gpu-1", "offers": ["sandbox:bwrap"], "workers": []}]},
    "Stats": {"tasks": {"staged": 1}, "jobs": {}, "workers": [], "events": {"task.staged": 1}},
    "Schedule": _SCHEDULE,
    "Schedules": {"schedules": [_SCHEDULE]},
    "Explanation": {
        "title": "set server.timeout to 30 in config/app.yaml",
        "effect": "allow",
        "rule": "config-changes",
        "lane": "config",
        "reason": "rule config-changes allows it",
        "trace": ["config-changes: applies"],
    },
    "Token": {
        "id": "k3m7x2p9q4tz",
        "name": "release bot",
        "person": "ana",
        "scopes": ["read", "request"],
        "repositories": ["web"],
        "created_at": _AT,
        "expires_at": "2026-08-02T12:00:00+00:00",
        "last_used_at": None,
        "revoked_at": None,
    },
    "Problem": {
        "type": "urn:countersign:problem:stale_digest",
        "title": "This conflicts with the present state",
        "status": 409,
        "detail": "9c1e04ab77d2e85b1f36 names no staged diff of #12",
        "code": "stale_digest",
        "kind": "conflict",
        "mend": "Look at it with `countersign show 12`.",
        "command": {"command": "show", "number": 12, "args": [], "line": "countersign show 12"},
    },
}
