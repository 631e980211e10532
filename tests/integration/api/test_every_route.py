"""Every route, with every scope, on tasks of the token's own repository and of another one (security.md 125)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from bot.configuration.home import Home
from bot.web.api.application import ROUTERS
from bot.wiring.app import opened
from core.model.api_token import TokenScope
from core.services.api_tokens import WantedToken
from tests.builders import LEE
from tests.integration.api.api_home import MARK, ServedApi, body_of

pytestmark = [pytest.mark.surfaces, pytest.mark.xdist_group("api")]

OWN, HIDDEN, ASKING = 1, 2, 3
BODIES: dict[str, dict[str, Any]] = {
    "ask": {"text": "set server.timeout to 31 in config/app.yaml", "repo": "REPO"},
    "reply": {"text": "set server.timeout to 32 in config/app.yaml"},
    "pick": {"digest": "0" * 20, "keep": ["0" * 20]},
    "approve": {"digest": "0" * 20},
    "move": {"to": "first"},
    "add_schedule": {
        "when": "weekday 09:00",
        "text": "set server.timeout to 31 in config/app.yaml",
        "repo": "REPO",
    },
    "explain_policy": {"text": "set server.timeout to 31 in config/app.yaml", "repo": "REPO"},
}
WHOLE_HOME = {"pause", "resume", "move", "list_endpoints", "drain", "resume_endpoint", "list_nodes", "stats"}


@dataclass(frozen=True)
class Route:
    """One route of the API."""

    name: str
    method: str
    path: str
    scope: str

    @property
    def is_about_a_task(self) -> bool:
        return "{number}" in self.path

    async def call(self, client: httpx.AsyncClient, number: int, repo: str, schedule: str) -> httpx.Response:
        """Call it about a task, a repository or a schedule."""
        path = self.path.format(
            number=number, revision=1, name="change.patch" if self.is_about_a_task else "local", schedule=schedule
        )
        body = {key: repo if value == "REPO" else value for key, value in BODIES.get(self.name, {}).items()}
        headers = {"If-Match": "*"} if self.name in ("approve", "reject") else {}
        if self.name == "stream_events":
            async with client.stream("GET", f"{path}?task={number}") as answer:
                if answer.status_code != 200:
                    await answer.aread()
                return answer
        if self.name == "list_events":
            path += f"?task={number}"
        if self.method == "POST":
            return await client.post(path, json=body, headers=headers)
        return await client.request(self.method, path, headers=headers)


def routes() -> Iterator[Route]:
    for router in ROUTERS:
        for route in router.routes:
            (method,) = route.methods  # type: ignore[attr-defined]
            scope = route.openapi_extra["x-countersign-scope"]  # type: ignore[attr-defined]
            yield Route(route.operation_id, method, route.path, scope)  # type: ignore[attr-defined]


ROUTES = sorted(routes(), key=lambda route: route.name)
SCOPES = [scope.value for scope in TokenScope]


async def hidden_schedule(api: ServedApi) -> str:
    (schedule,) = await api.app.schedules.list()
    return schedule.id


def test_the_routes_are_all_there():
    assert len(ROUTES) > 25
    assert {route.name for route in ROUTES} >= WHOLE_HOME | BODIES.keys()


async def test_k125_every_route_refuses_every_token_without_its_scope(api):
    schedule = await hidden_schedule(api)
    for scope in SCOPES:
        client = await api.client("lee", scope)
        for route in ROUTES:
            answer = await route.call(client, OWN, "web", schedule)
            is_refused = answer.status_code == 403 and body_of(answer)["code"] == "insufficient_scope"
            assert is_refused == (route.scope != scope), (scope, route, answer.text)


async def test_k125_a_token_of_one_repository_learns_nothing_of_another(api):
    schedule = await hidden_schedule(api)
    client = await api.client("lee", repositories=("web",))
    for route in ROUTES:
        for number, repo in ((HIDDEN, "hidden"), (OWN, "web")):
            answer = await route.call(client, number, repo, schedule)
            text = answer.text if route.name != "stream_events" or answer.status_code != 200 else ""
            assert MARK not in text, (route, text)
            assert answer.status_code < 500, (route, text)
            if route.name in WHOLE_HOME:
                assert (answer.status_code, body_of(answer)["code"]) == (403, "needs_every_repository"), route
            elif number == HIDDEN and (route.is_about_a_task or "events" in route.name or "schedule}" in route.path):
                assert answer.status_code == 404, (route, text)
            elif number == HIDDEN and "repo" in BODIES.get(route.name, {}):
                assert (answer.status_code, body_of(answer)["code"]) == (403, "not_here"), (route, text)


async def test_k125_the_same_routes_show_the_other_repository_to_a_token_of_all(api):
    """Else the test above could not fail."""
    client = await api.client("lee", "read")
    for path in (
        "/tasks",
        f"/tasks/{HIDDEN}",
        f"/tasks/{HIDDEN}/diff",
        f"/tasks/{HIDDEN}/artifacts/1/change.patch",
        "/events?limit=1000",
        "/schedules",
        f"/tasks?search={MARK}",
    ):
        answer = await client.get(path)
        assert answer.status_code == 200, answer.text
        assert MARK in answer.text, path


async def test_k125_a_task_of_another_repository_and_none_are_answered_alike(api):
    client = await api.client("lee", repositories=("web",))
    answers = [await client.get(f"/tasks/{number}") for number in (HIDDEN, 999)]
    assert answers[0].content == answers[1].content
    assert {answer.status_code for answer in answers} == {404}


async def test_k125_a_task_whose_repository_is_not_known_is_seen_where_it_may_belong(api):
    assert (await (await api.client("lee", repositories=("web",))).get(f"/tasks/{ASKING}")).status_code == 200


async def test_k125_lists_and_events_hold_every_visible_row_and_no_other(api):
    everything = await api.client("lee", "read")
    limited = await api.client("lee", "read", repositories=("web",))
    numbers = [row["number"] for row in body_of(await limited.get("/tasks"))["tasks"]]
    assert numbers == [ASKING, OWN]
    all_events = body_of(await everything.get("/events?limit=1000"))["events"]
    wanted = [event["id"] for event in all_events if event["task"] in (OWN, ASKING)]
    shown, last = [], 0
    while True:
        page = body_of(await limited.get(f"/events?limit=3&after={last}"))
        shown += [event["id"] for event in page["events"]]
        if page["last_id"] == last:
            break
        last = page["last_id"]
    assert shown == wanted
    assert {event["task"] for event in all_events} >= {HIDDEN, None}


async def test_k125_numbers_that_are_replayed_for_another_token_are_not_its_own(api):
    """The same Idempotency-Key of two tokens names two requests."""
    first, second = [await api.client("ana", "request", "read") for _ in range(2)]
    body, headers = {"text": BODIES["ask"]["text"], "repo": "web"}, {"Idempotency-Key": "one"}
    made = [body_of(await each.post("/tasks", json=body, headers=headers))["number"] for each in (first, second)]
    assert len(set(made)) == 2


async def test_a_token_of_the_operator_acts_for_whom_it_names_and_others_only_for_their_owner(api):
    operator, ana = await api.client(None), await api.client("ana")
    body = {"text": BODIES["ask"]["text"], "repo": "web"}
    assert body_of(await operator.post("/tasks", json=body))["code"] == "who"
    assert body_of(await operator.post("/tasks", json={**body, "as": "bo"}))["requester"] == "bo"
    assert body_of(await operator.post("/tasks", json={**body, "as": "eve"}))["code"] == "no_such_person"
    assert body_of(await ana.post("/tasks", json={**body, "as": "lee"}))["code"] == "not_the_operator"


async def test_k124_the_token_of_a_person_who_was_removed_is_worthless(api, api_home):
    client = await api.client("max", "read")
    assert (await client.get("/tasks")).status_code == 200
    config = api_home.root / "countersign.yaml"
    config.write_text(config.read_text().replace('  "max": {roles: [maintainer]}\n', ""))
    async with opened(Home(api_home.root)) as reread:  # the running one looks at the file again after a moment
        assert reread.settings().people.get("max") is None
        wanted = WantedToken(name="x", person="lee", scopes=("read",), repositories=None, expires_at=None)
        created = await reread.api_tokens.create(wanted, LEE)
        assert await reread.api_tokens.authenticate(str(created.written)) is not None
        written = client.headers["authorization"].removeprefix("Bearer ")
        assert await reread.api_tokens.authenticate(written) is None
