"""Requests that must fail: wrong tokens, pages of other sites, odd bodies and paths (security.md K)."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import product
from urllib.parse import quote

import pytest

from bot.web.api.rates import ApiQuotas, QuotaPolicy
from core.store.artifacts import record
from core.store.tables import ArtifactRow
from tests.builders import LEE
from tests.integration.api.api_home import body_of, served_api

pytestmark = [pytest.mark.surfaces, pytest.mark.xdist_group("api")]

REQUEST = {"text": "set server.timeout to 31 in config/app.yaml", "repo": "web"}
JSON = {"Content-Type": "application/json"}


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


JWTS = (
    f"{part({'alg': 'none'})}.{part({'sub': 'lee'})}.",
    f"{part({'alg': 'HS256', 'kid': '../../dev/null'})}.{part({'sub': 'lee'})}.AAAA",
    f"{part({'alg': 'RS256'})}.{part({'sub': 'lee', 'scope': 'approve'})}.AAAA",
)


async def test_k124_no_token_and_what_is_not_a_token_of_ours_is_answered_401(api):
    token, written = await api.token()
    other, _ = await api.token()
    wrong_secret = written[:-4] + ("AAAA" if not written.endswith("AAAA") else "BBBB")
    unknown = written.replace(token.id, "a" * 12)
    swapped = written.replace(token.id, other.id)
    values = [
        "",
        "Bearer",
        "Basic bGVlOmxlZQ==",
        f"Token {written}",
        f"Bearer {written} x",
        "Bearer é".encode(),
    ]
    values += [f"Bearer {text}" for text in (wrong_secret, unknown, swapped, written.upper(), written + "A", *JWTS)]
    for value in values:
        answer = await api.bare_client({"Authorization": value}).get("/tasks")
        assert answer.status_code == 401, value
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert body_of(answer)["code"] == "bad_token"
    twice = [("Authorization", f"Bearer {written}"), ("Authorization", f"Bearer {written}")]
    assert (await api.bare_client().get("/tasks", headers=twice)).status_code == 401
    assert (await api.bare_client().get("/tasks", headers={"Authorization": f"Bearer {written}"})).status_code == 200


async def test_k124_an_expired_and_a_revoked_token_is_answered_401_at_once(api):
    token, written = await api.token()
    client = api.bare_client({"Authorization": f"Bearer {written}"})
    assert (await client.get("/token")).status_code == 200
    await api.app.api_tokens.revoke(token.id, LEE)
    assert (await client.get("/token")).status_code == 401
    soon = datetime.now(UTC) + timedelta(seconds=1)
    _, brief = await api.token(expires_at=soon)
    client = api.bare_client({"Authorization": f"Bearer {brief}"})
    while (answer := await client.get("/token")).status_code == 200:
        assert datetime.now(UTC) < soon + timedelta(seconds=30)
        await asyncio.sleep(0.1)
    assert answer.status_code == 401


async def test_k124_a_token_in_the_address_is_refused_even_beside_a_good_one(api):
    _, written = await api.token()
    client, names = api.bare_client(), ("token", "access_token", "ACCESS_TOKEN", "api_key", "authorization")
    for name, headers in product(names, ({}, {"Authorization": f"Bearer {written}"})):
        answer = await client.get(f"/tasks?{name}={written}", headers=headers)
        assert (answer.status_code, body_of(answer)["code"]) == (401, "token_in_query")
        assert written not in answer.text


async def test_k124_the_secret_of_a_token_is_stored_nowhere(api, api_home):
    token, written = await api.token()
    secret = written.removeprefix(f"cst_{token.id}_").encode()
    for path in (api_home.root / "state").rglob("countersign.sqlite*"):
        assert secret not in path.read_bytes(), path


async def test_k124_an_address_with_many_wrong_tokens_waits(api_home):
    async with served_api(api_home, ApiQuotas(wrong_tokens=QuotaPolicy("wrong-tokens", 5))) as api:
        client = api.bare_client({"Authorization": "Bearer wrong"})
        statuses = [(await client.get("/tasks")).status_code for _ in range(7)]
        assert statuses == [401] * 5 + [429] * 2
        spoofed = {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9", "X-Real-Ip": "203.0.113.9"}
        assert (await client.get("/tasks", headers=spoofed)).status_code == 429  # K132: only the connection counts
        assert (
            await (await api.client("lee", "read")).get("/tasks")
        ).status_code == 200  # a good one is never locked out


async def test_k126_a_cookie_is_never_accepted_and_a_page_of_any_origin_is_refused(api):
    _, written = await api.token()
    for cookie in (f"token={written}", f"session={written}", f"Authorization=Bearer {written}"):
        answer = await api.bare_client({"Cookie": cookie}).post("/tasks", json=REQUEST)
        assert answer.status_code == 401
    good = {"Authorization": f"Bearer {written}"}
    for origin in ("https://evil.example", "null", api.url):
        for path in ("/tasks", "/events/stream"):
            answer = await api.bare_client({**good, "Origin": origin}).get(path)
            assert (answer.status_code, body_of(answer)["code"]) == (403, "from_a_page")
        preflight = await api.bare_client({"Origin": origin, "Access-Control-Request-Method": "POST"}).options("/tasks")
        assert preflight.status_code == 403
        assert not [name for name in preflight.headers if name.startswith("access-control")]


async def test_k126_nothing_is_changed_by_get_or_by_a_body_that_is_not_declared_as_json(api):
    client = await api.client("ana")
    before = body_of(await client.get("/tasks"))["tasks"]
    assert (await client.get("/tasks/1/approvals")).status_code == 405
    assert (await client.get("/tasks/1/cancel")).status_code == 405
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json", ""):
        answer = await client.post("/tasks", content=json.dumps(REQUEST), headers={"Content-Type": kind})
        assert answer.status_code == 415, kind
    assert body_of(await client.get("/tasks"))["tasks"] == before


ODD_PATHS = ("..%2f..%2fcountersign.yaml", "%2e%2e%2f%2e%2e%2fkeys", "change.patch%00", "a%0d%0aSet-Cookie:x=1")
ODD_NAMES = ('a"; x=".html', "a\r\nSet-Cookie: x=1", "../../x", "<svg onload=1>.svg", "é\u202e.html")


async def test_k130_a_path_in_the_name_of_an_artifact_leads_nowhere(api):
    client = await api.client("lee", "read")
    for name in ODD_PATHS:
        answer = await client.get(f"/tasks/1/artifacts/1/{name}")
        assert answer.status_code in (404, 422), name
        assert "set-cookie" not in answer.headers


async def test_k130_an_artifact_is_a_download_whatever_its_name(api):
    sha256 = await api.app.files.write(b"<script>alert(1)</script>")
    client = await api.client("lee", "read")
    for name in ODD_NAMES:
        row = ArtifactRow(number=1, revision=1, name=name, sha256=sha256, size_bytes=25, created_ms=0)
        await api.app.database.write(lambda tx, row=row: record(tx, row))
        answer = await client.get(f"/tasks/1/artifacts/1/{quote(name, safe='')}")
        if "/" in name:  # a route takes one part of a path
            assert answer.status_code == 404
            continue
        assert answer.content == b"<script>alert(1)</script>"
        assert answer.headers["content-disposition"].startswith('attachment; filename="')
        assert answer.headers["content-disposition"].count('"') == 2
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]
        assert "set-cookie" not in answer.headers


async def test_k131_without_a_token_nothing_is_told_apart_from_nothing(api):
    client = api.bare_client()
    paths = ("/tasks", "/openapi.json", "/docs", "/redoc", "/stats", "/nodes", "/metrics", "/nothing", "", "/")
    answers = {(await client.get(path)).content for path in paths}
    assert len(answers) == 1
    (text,) = answers
    assert b"web" not in text
    assert b"0.1.0" not in text


async def test_k132_the_host_of_a_request_changes_nothing(api):
    client = await api.client("ana")
    for host in ("evil.example", "127.0.0.1:1", "localhost"):
        answer = await client.get("/tasks/1", headers={"Host": host, "X-Forwarded-Host": host})
        assert host not in answer.text + str(answer.headers)
        made = await client.post("/tasks", json=REQUEST, headers={"Host": host})
        assert made.headers["location"].startswith("/api/v1/tasks/")
    assert (await client.get("/tasks/")).status_code == 404  # never a redirect, whose address the client would choose


async def test_k132_a_quota_is_told_and_kept_whatever_the_headers_say(api_home):
    async with served_api(api_home, ApiQuotas(write=QuotaPolicy("write", 5))) as api:
        client, other = await api.client("ana"), await api.client("bo")
        first = await client.post("/tasks/999/cancel", json={})
        assert first.headers["ratelimit-policy"] == '"write";q=5;w=60'
        assert first.headers["ratelimit"].startswith('"write";r=4;t=')
        spoofed = [{"X-Forwarded-For": f"203.0.113.{n}"} for n in range(5)]
        answers = [await client.post("/tasks/999/cancel", json={}, headers=each) for each in spoofed]
        assert [answer.status_code for answer in answers] == [404] * 4 + [429]
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
        assert (await client.get("/token")).status_code == 200  # reading has its own quota
        assert (await other.post("/tasks/999/cancel", json={})).status_code == 404


ODD_BODIES: list[tuple[bytes, int, str]] = [
    (b"", 422, "invalid"),
    (b"{", 400, "bad_json"),
    (b"[]", 400, "bad_json"),
    (b"null", 400, "bad_json"),
    (b'{"text": "x", "text": "y"}', 400, "bad_json"),
    (b'{"text": NaN}', 400, "bad_json"),
    (b'{"text": "x", "priority": 1e999}', 400, "bad_json"),
    (b'{"text": "\\ud800"}', 400, "bad_json"),
    (b'{"text": "\xff"}', 400, "not_utf8"),
    (b'{"text": "a\\u0000b"}', 422, "not_text"),
    (b'{"text": "x", "lanes": "config"}', 422, "invalid"),
    (b'{"text": "x", "priority": "1"}', 422, "invalid"),
    (b'{"text": "x", "priority": true}', 422, "invalid"),
    (b'{"text": 5}', 422, "invalid"),
    (b'{"a":' * 50 + b"1" + b"}" * 50, 400, "bad_json"),
    (json.dumps({"text": "x" * 70_000}).encode(), 422, "invalid"),
    (json.dumps({"text": "x" * 600_000}).encode(), 413, "body_too_large"),
]


async def test_k120_a_body_that_is_not_one_strict_object_is_refused(api):
    client = await api.client("ana")
    for body, status, code in ODD_BODIES:
        answer = await client.post("/tasks", content=body, headers=JSON)
        assert (answer.status_code, body_of(answer)["code"]) == (status, code), body[:60]
        assert answer.headers["content-type"] == "application/problem+json"


async def test_k120_a_compressed_body_is_refused(api):
    headers = {**JSON, "Content-Encoding": "gzip"}
    body = gzip.compress(json.dumps(REQUEST).encode())
    assert (await (await api.client("ana")).post("/tasks", content=body, headers=headers)).status_code == 415


ODD_QUERIES = [
    "status=staged",
    "limit=1&limit=2",
    "limit=0",
    "limit=9999",
    "before=0",
    "state=x",
    "since=x",
    "since=2026-01-01",
    "search=%00",
    "after=1",
    f"before={2**70}",
    "search=-x",
    "search=",
]


async def test_a_query_that_is_not_known_or_not_valid_is_refused_and_never_ignored(api):
    client = await api.client("lee", "read")
    for query in ODD_QUERIES:
        assert (await client.get(f"/tasks?{query}")).status_code == 422, query


async def test_a_verdict_needs_the_document_that_was_read(api):
    lee, path = await api.client("lee"), "/tasks/1"
    read = await lee.get(path)
    digest = body_of(read)["staged"]["digest"]
    without = await lee.post(f"{path}/approvals", json={"digest": digest})
    assert (without.status_code, body_of(without)["code"]) == (428, "if_match_required")
    stale = await lee.post(f"{path}/approvals", json={"digest": digest}, headers={"If-Match": '"old"'})
    assert (stale.status_code, body_of(stale)["code"]) == (412, "changed")
    wrong = await lee.post(f"{path}/approvals", json={"digest": "f" * 64}, headers={"If-Match": read.headers["etag"]})
    assert (wrong.status_code, body_of(wrong)["code"]) == (409, "stale_digest")
    ana = await api.client("ana")
    own = await ana.post(f"{path}/approvals", json={"digest": digest}, headers={"If-Match": read.headers["etag"]})
    assert (own.status_code, body_of(own)["code"]) == (403, "may_not_approve")
    done = await lee.post(f"{path}/approvals", json={"digest": digest}, headers={"If-Match": read.headers["etag"]})
    assert (done.status_code, body_of(done)["state"]) == (200, "approved")
    assert body_of(done)["approvals"][0]["surface"] == "api"
    again = await lee.post(f"{path}/rejections", json={}, headers={"If-Match": read.headers["etag"]})
    assert again.status_code == 412


async def test_a_document_that_did_not_change_is_answered_304(api):
    client = await api.client("lee", "read")
    for path in ("/tasks/1", "/tasks/1/diff", "/tasks/1/artifacts/1/change.patch"):
        read = await client.get(path)
        again = await client.get(path, headers={"If-None-Match": f'"x", {read.headers["etag"]}'})
        assert (again.status_code, again.content) == (304, b"")
        assert (await client.get(path, headers={"If-None-Match": '"x"'})).content == read.content


async def test_a_problem_says_what_to_do_and_which_command_helps(api):
    client = await api.client("lee")
    etag = (await client.get("/tasks/1")).headers["etag"]
    answer = await client.post("/tasks/1/approvals", json={"digest": "f" * 64}, headers={"If-Match": etag})
    problem = body_of(answer)
    assert problem["type"] == "urn:countersign:problem:stale_digest"
    assert problem["status"] == answer.status_code == 409
    assert problem["command"]["line"] == "countersign show 1"
    assert "countersign show 1" in problem["mend"]


def test_fastapi_is_imported_by_the_first_good_token_and_by_nothing_else(api_home):
    """`serve` stays small for those who do not use the API; a stranger cannot make it grow."""
    script = """
import asyncio, sys, httpx
from bot.configuration.home import Home
from bot.web.api import api_routes
from bot.wiring.app import opened
from core.model.turn import Actor
from core.services.api_tokens import WantedToken
from starlette.applications import Starlette

async def main():
    async with opened(Home(__import__("pathlib").Path(sys.argv[1]))) as app:
        web = httpx.ASGITransport(Starlette(routes=api_routes(app)))
        async with httpx.AsyncClient(transport=web, base_url="http://x/api/v1") as client:
            assert (await client.get("/tasks", headers={"Authorization": "Bearer x"})).status_code == 401
            print("fastapi" in sys.modules)
            wanted = WantedToken(name="x", person="lee", scopes=("read",), repositories=None, expires_at=None)
            made = await app.api_tokens.create(wanted, Actor(None, "terminal"))
            answer = await client.get("/tasks", headers={"Authorization": f"Bearer {made.written}"})
            assert answer.status_code == 200
            print("fastapi" in sys.modules)
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(api_home.root)],
        capture_output=True,
        text=True,
        check=False,
        cwd=str(api_home.folder),
        env={"PYTHONPATH": ":".join(p for p in sys.path if p)},
    )
    assert done.stdout.split() == ["False", "True"], done.stderr
