"""The fake GitHub is honest: its webhooks have what real ones have, its rules are GitHub's, its git is git."""

from __future__ import annotations

import functools
import hashlib
import hmac
import http.server
import json
import subprocess
import threading
from typing import Any

import pytest

from core.model.errors import PermanentError
from tests.counterparts import package
from tests.fakes.github import FakeGitHub
from tests.integration.github_forge.conftest import BRANCH, NAME, published

pytestmark = pytest.mark.surfaces


@functools.cache
def examples() -> dict[str, list[dict[str, Any]]]:
    """Real payloads by event."""
    file = package("@octokit/webhooks-examples") / "api.github.com" / "index.json"
    return {event["name"]: event["examples"] for event in json.loads(file.read_bytes())}


def shape(values: list[Any], path: str = "") -> dict[str, set[str]]:
    """The keys that all `values` have, with the kinds of what is there; `a.b` is the key b inside a."""
    dicts = [value for value in values if isinstance(value, dict)]
    if not dicts or len(dicts) < len([value for value in values if value is not None]):
        return {}
    found: dict[str, set[str]] = {}
    for key in set.intersection(*(set(value) for value in dicts)):
        inside = [value[key] for value in dicts]
        found[f"{path}{key}"] = {kind(value) for value in inside}
        found |= shape(inside, f"{path}{key}.")
    return found


def kind(value: Any) -> str:
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


# What only some have: organisations, plans, apps (an installation is told when one is there), their permissions.
_ABSENT_HERE = ("organization", "enterprise", "user_view_type", "installation", ".permissions.")


def missing_in(event: str, action: str | None, payload: dict[str, Any]) -> list[str]:
    real = [example for example in examples()[event] if example.get("action") == action]
    wanted = shape(real)
    ours = shape([payload])
    return sorted(
        key
        for key, kinds in wanted.items()
        if not any(part in key for part in _ABSENT_HERE)
        and (key not in ours or ("NoneType" not in kinds | ours[key] and not kinds & ours[key]))
        and not inside_null(key, ours)
    )


def inside_null(key: str, ours: dict[str, set[str]]) -> bool:
    """Whether a part that the key is inside of is null with us, as it is for those who have no such thing."""
    parts = key.split(".")
    return any("NoneType" in ours.get(".".join(parts[:n]), set()) for n in range(1, len(parts)))


async def test_webhooks_have_every_field_that_real_ones_have(hub, forge, hub_repo):
    pull = await published(forge, hub_repo)
    said = hub.comment(NAME, 1, "lee", "/approve")
    hub.edit_comment(NAME, said, "/reject")
    hub.delete_comment(NAME, said)
    review = hub.review(NAME, 1, "lee", "CHANGES_REQUESTED", "no")
    hub.dismiss(NAME, review, "lee")
    hub.review_comment(NAME, 1, "lee", "src/a.py", 1, "why?")
    hub.set_check(NAME, pull.head, "tests", 15368, "success")
    hub.status(NAME, pull.head, "ci", "success")
    hub.push(NAME, BRANCH, {"x": "1\n"}, "lee")
    hub.close_by_hand(NAME, 1, "lee")
    hub.reopen_by_hand(NAME, 1, "lee")
    hub.merge_by_hand(NAME, 1, "lee")
    seen = {}
    for event in hub.hooks.sent:
        action = event.payload.get("action")
        seen[event.name, action] = missing_in(event.name, action, event.payload)
        assert json.loads(event.body) == event.payload
    assert {name for name, _ in seen} >= {
        *("pull_request", "issue_comment", "pull_request_review", "pull_request_review_comment"),
        *("check_run", "check_suite", "status", "push"),
    }
    gaps = [f"{event} {action}: {key}" for (event, action), keys in seen.items() for key in keys]
    assert not gaps, "\n".join(gaps)


class Listener(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers), body))  # type: ignore[attr-defined]
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


async def test_webhooks_are_delivered_signed_in_order_and_again_on_demand(hub):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    server.got = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    hub.issue(NAME, "lee", "before anybody listens")
    hub.hooks.to(f"http://127.0.0.1:{server.server_address[1]}/github", "secret")
    for n in range(3):
        hub.comment(NAME, 1, "lee", f"{n}")
    hub.hooks.again(hub.hooks.sent[-1])
    hub.hooks.again(hub.hooks.sent[-1], new_delivery=True)
    hub.hooks.settle()
    server.shutdown()
    server.server_close()
    got = server.got  # type: ignore[attr-defined]
    assert [json.loads(body)["comment"]["body"] for _, body in got] == ["0", "1", "2", "2", "2"]
    ids = [headers["X-GitHub-Delivery"] for headers, _ in got]
    assert (ids[2] == ids[3], len(set(ids))) == (True, 4)
    for headers, body in got:
        expected = "sha256=" + hmac.new(b"secret", body, hashlib.sha256).hexdigest()
        assert headers["X-Hub-Signature-256"] == expected
        assert headers["X-GitHub-Event"] == "issue_comment"
    assert {delivery.status for delivery in hub.hooks.delivered} == {202}


async def test_a_head_without_its_owner_filters_nothing_as_at_github(hub, client, hub_repo):
    for n in range(3):
        hub.push(NAME, f"b{n}", {f"{n}": "1\n"}, "lee")
        hub.opened(hub.repo(NAME), "lee", f"{n}", "", f"b{n}", "main")
    every = await client.at(hub_repo.spec, lambda repo: [p.number for p in repo.get_pulls(head="b1", state="all")])
    one = await client.at(hub_repo.spec, lambda repo: [p.number for p in repo.get_pulls(head="acme:b1", state="all")])
    assert (every, one) == ([3, 2, 1], [2])


async def test_files_commits_and_counts_come_from_git(hub, forge, hub_repo, client):
    pull = await published(forge, hub_repo)
    hub.push(NAME, BRANCH, {"README.md": None, "ünï.txt": "a\nb\n"}, "lee")
    files, commits, counts = await client.at(
        hub_repo.spec,
        lambda repo: (
            {f.filename: (f.status, f.additions, f.deletions) for f in repo.get_pull(1).get_files()},
            [c.sha for c in repo.get_pull(1).get_commits()],
            (repo.get_pull(1).changed_files, repo.get_pull(1).commits),
        ),
    )
    assert files == {"README.md": ("removed", 0, 1), "src/a.py": ("modified", 1, 1), "ünï.txt": ("added", 2, 0)}
    assert commits[0] == pull.head
    assert counts == (3, 2)


async def test_what_a_token_may_not_see_is_not_there(hub, make_client, hub_repo):
    from lanes.forge.github import GitHubAccess

    client = make_client(GitHubAccess(hub.url, token=hub.token("mallory")))
    with pytest.raises(PermanentError) as caught:
        await client.repository(hub_repo.spec)
    assert caught.value.problem.code == "github_not_found"


def test_git_without_a_token_is_asked_for_one(hub):
    done = subprocess.run(
        ["git", "ls-remote", hub.git_url(NAME)],
        env={"PATH": "/usr/bin:/bin", "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", "HOME": "/nowhere"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 128
    assert b"could not read Username" in done.stderr


def test_a_request_that_github_does_not_know_is_a_violation(tmp_path):
    import github as pygithub

    with FakeGitHub(tmp_path) as hub:
        hub.repository(NAME)
        hub.allow(NAME, "ana")
        asking = pygithub.Github(auth=pygithub.Auth.Token(hub.token("ana")), base_url=hub.url, retry=None)
        for method, path in (("GET", f"/repos/{NAME}/nonsense"), ("POST", f"/repos/{NAME}/pulls")):
            with pytest.raises(pygithub.GithubException):
                asking.requester.requestJsonAndCheck(method, path, input={"base": 1} if method == "POST" else None)
        asking.close()
        assert len(hub.violations) >= 2
