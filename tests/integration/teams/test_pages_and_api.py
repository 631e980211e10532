"""Every route of pages and API, with every role, on tasks of the own and of the other team (security.md 125).

What belongs to the other team must be answered exactly as what does not exist.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence

import httpx
import pytest

from core.model.role import Role
from core.model.turn import Actor
from core.services.api_tokens import WantedToken
from core.services.queue_control import PauseScope, PauseScopeKind
from core.services.requests import NewRequest
from tests import campaign
from tests.integration.api.test_every_route import ROUTES, Route
from tests.integration.teams.team_home import (
    BOTH,
    FINCH,
    KITE,
    MISSING,
    ROOT,
    SHARED,
    STRANGER,
    TASKS,
    TEAMS,
    other_than,
    person_of,
)
from tests.integration.window.test_window_roles import FORMS, WITHOUT_SESSION, plain
from tests.integration.window.test_window_sessions import paths_of

pytestmark = [pytest.mark.window, pytest.mark.law, pytest.mark.xdist_group("window")]

SCOPES = ("read", "request", "approve", "operate")
NEVER_ENDS = {"/news"}
OPERATOR = Actor(None, "terminal", is_operator=True)


def visitors() -> Sequence[tuple[str, tuple[str, ...]]]:
    """(person, words that they must not read); `make test` tries each role in one team, in turn."""
    in_teams = [
        (person_of(team, role), (other_than(team),))
        for n, role in enumerate(Role)
        for team in (TEAMS if campaign.WHOLE else (TEAMS[n % 2],))
    ]
    return [*in_teams, (STRANGER, TEAMS)]


VISITORS = visitors()


def is_tried(route: int, visitor: int) -> bool:
    """Whether a route is tried with a visitor: each with one role, every other one with a stranger."""
    return campaign.WHOLE or visitor == route % len(Role) or (visitor == len(Role) and route % 2 == 0)


def foreign(words: Sequence[str]) -> Iterator[int]:
    """The numbers of the tasks that such a person must not see."""
    for word in words:
        yield from (TASKS[word].staged, TASKS[word].published)
    yield SHARED


def same(text: str, number: int) -> str:
    """A response without what differs from one call to the next: the number that was asked for, and random values."""
    text = re.sub(r"after=\d+", "", text)
    text = re.sub(r'<input type="hidden" name="(csrf|nonce)"[^>]*>', "", text)
    return re.sub(rf"(#|/tasks/|events\?task=|\"task\": ?){number}(?![\w])", r"\1N", text)


def differing(answers) -> list[str]:
    """The lines in which answers differ."""
    first, *others = [text.splitlines() for _, text in answers.values()]
    return [line for other in others for line in difflib.unified_diff(first, other, n=0, lineterm="")]


async def events_of(window, numbers) -> int:
    queries, found = window.served.app.queries, 0
    for number in numbers:
        found += len(await queries.events(number=number))
    return found


def check(response: httpx.Response, words: Sequence[str], about: object) -> None:
    """The response has no word of another team."""
    headers = "\n".join(f"{name}: {value}" for name, value in response.headers.items())
    for word in words:
        assert word not in response.text + headers, (about, response.status_code, around(response.text, word))


def around(text: str, word: str) -> str:
    at = text.find(word)
    return text[max(0, at - 200) : at + 100]


async def test_no_page_tells_of_another_team(window):
    for visitor, (person, words) in enumerate(VISITORS):
        await look_at_every_page(window, visitor, person, words)


async def look_at_every_page(window, visitor, person, words):
    visit = await window.signed_in(person)
    pages = sorted(path for method, path in paths_of(window) if method == "GET" and path not in NEVER_ENDS)
    for n, path in enumerate(pages):
        if not is_tried(n, visitor):
            continue
        hidden = next(foreign(words))
        number_of = dict.fromkeys(re.findall(r"\{[a-z0-9]+(?::[a-z]+)?\}", path))
        answers = {}
        for number in (hidden, MISSING, SHARED):
            address = path
            for part in number_of:
                address = address.replace(part, str(number) if "number" in part else "1")
            response = await visit.get(address)
            check(response, words, (person, address))
            assert response.status_code < 500, (person, address, response.text)
            answers[number] = response.status_code, same(response.text, number)
            if "number" not in path:
                break
        if "number" in path:
            assert answers[hidden] == answers[MISSING] == answers[SHARED], (person, path, differing(answers))


async def test_no_form_tells_of_another_team_or_changes_anything_there(window):
    for visitor, (person, words) in enumerate(VISITORS):
        await send_every_form(window, visitor, person, words)


async def send_every_form(window, visitor, person, words):
    visit, numbers = await window.signed_in(person), sorted(set(foreign(words)))
    before = await events_of(window, numbers)
    team = next(word for word in TEAMS if word in words)
    for n, (path, (_, fields)) in enumerate(sorted(FORMS.items())):
        if path == "/sign-out" or not is_tried(n, visitor):
            continue
        answers = {}
        hidden = TASKS[team].published if path.endswith(("undo", "merge")) else TASKS[team].staged
        for number in (hidden, MISSING):
            digest = await window.served.digest(TASKS[team].staged)
            given = {"repo": f"{team}-repo"} if number == hidden else {"repo": "nothing-repo"}
            sent = {key: value.replace("DIGEST", digest) for key, value in fields.items()}
            sent |= {key: value for key, value in given.items() if key in fields}
            sent |= {f"t{number}": digest} if path == "/together" else {}
            sent |= {"task": str(number)} if "task" in fields else {}
            sent.pop("t1", None)
            response = await visit.post(path.replace("{number}", str(number)), {"csrf": visit.csrf, **sent})
            shown = response.text.replace(f"{team}-repo", "REPO").replace("nothing-repo", "REPO")
            for word in words:
                assert word not in shown, (person, path, around(shown, word))
            assert response.status_code < 500, (person, path, response.text)
            answers[number] = response.status_code, same(shown, number).replace(digest, "DIGEST")
        if "{number}" in path or "repo" in fields or path == "/together":
            assert answers[hidden] == answers[MISSING], (person, path, differing(answers))
    assert await events_of(window, numbers) == before


async def client_of(window, person: str) -> httpx.AsyncClient:
    wanted = WantedToken(name="test", person=person, scopes=SCOPES, repositories=None, expires_at=None)
    created = await window.served.app.api_tokens.create(wanted, OPERATOR)
    headers = {"Authorization": f"Bearer {created.written}"}
    client = httpx.AsyncClient(base_url=f"{window.origin}/api/v1", headers=headers, timeout=60)
    window.clients.append(client)
    return client


async def schedule_of(window, team: str) -> str:
    listed = await window.served.app.schedules.list()
    ids: list[str] = [each.id for each in listed if each.repo == f"{team}-repo"]
    return ids[0]


async def call(route: Route, client: httpx.AsyncClient, number: int, repo: str, schedule: str) -> httpx.Response:
    return await route.call(client, number, repo, schedule)


async def test_no_route_of_the_api_tells_of_another_team(window):
    for visitor, (person, words) in enumerate(VISITORS):
        await call_every_route(window, visitor, person, words)


async def call_every_route(window, visitor, person, words):
    client, numbers = await client_of(window, person), sorted(set(foreign(words)))
    team = next(word for word in TEAMS if word in words)
    schedule, before = await schedule_of(window, team), await events_of(window, numbers)
    for n, route in enumerate(ROUTES):
        if not is_tried(n, visitor):
            continue
        answers = {}
        for number, repo, plan in (
            (TASKS[team].staged, f"{team}-repo", schedule),
            (SHARED, f"{team}-repo", schedule),
            (MISSING, "nothing-repo", "sch_nothing"),
        ):
            response = await call(route, client, number, repo, plan)
            text = response.text if route.name != "stream_events" or response.status_code != 200 else ""
            shown = text.replace(repo, "REPO").replace(plan, "PLAN")
            for word in words:
                assert word not in shown, (person, route, around(shown, word))
            assert response.status_code < 500, (person, route, text)
            answers[number] = response.status_code, same(shown, number)
        is_about = route.is_about_a_task or "schedule}" in route.path or route.name in ("ask", "explain_policy")
        if is_about or "events" in route.name:
            assert answers[TASKS[team].staged] == answers[SHARED] == answers[MISSING], (person, route)
    assert await events_of(window, numbers) == before


async def test_the_same_pages_tell_it_to_the_own_team_and_to_those_of_the_whole_home(window):
    """Else the tests above could not fail."""
    for person, words in ((person_of(KITE, Role.VIEWER), (KITE,)), (ROOT, TEAMS), (BOTH, TEAMS)):
        visit, client = await window.signed_in(person), await client_of(window, person)
        pages = [(await visit.get(path)).text for path in ("/tasks", "/ask", "/policy", "/schedules", "/queue")]
        pages += [(await client.get(path)).text for path in ("/tasks", "/events", "/schedules", "/queue")]
        for page in pages:
            assert all(word in page for word in words), (person, page)
        for word in words:
            assert (await visit.get(f"/tasks/{TASKS[word].staged}")).status_code == 200
            assert (await client.get(f"/tasks/{TASKS[word].published}/artifacts/1/receipt.json")).status_code == 200
    assert (await (await client_of(window, ROOT)).get("/stats")).status_code == 200
    assert (await (await client_of(window, BOTH)).get("/stats")).json()["code"] == "not_of_one_team"


async def test_places_in_the_queue_are_true_and_the_job_of_another_team_has_nothing_else(window):
    for n, team in enumerate((FINCH, KITE, FINCH)):  # their repositories are paused
        words, author = f"set {team} to {20 + n} in config/{team}.yaml", Actor(person_of(team, Role.REQUESTER), "web")
        await window.served.app.requests.ask(NewRequest(text=words, actor=author, repo=f"{team}-repo"))
    viewer = person_of(KITE, Role.VIEWER)
    page = (await (await window.signed_in(viewer)).get("/queue")).text
    assert page.count("another team's task") == 2
    assert KITE in page
    assert FINCH not in page
    document = (await (await client_of(window, viewer)).get("/queue")).json()
    assert document["others"] == {"running": 0, "waiting": 2}
    assert [row["position"] for row in document["jobs"]] == [2]


async def test_a_stream_of_news_is_silent_about_another_team(window):
    app = window.served.app
    theirs, own = TASKS[FINCH].staged, TASKS[KITE].staged
    seen = await app.queries.visible_numbers({theirs, own, SHARED}, Actor(person_of(KITE, Role.VIEWER), "web"))
    assert seen == {own}
    assert await app.queries.visible_numbers({theirs, own}, Actor(ROOT, "web")) is None


async def test_a_teams_operator_pauses_its_own_repositories_and_nothing_of_the_home(window):
    control = window.served.app.queue_control
    operator, viewer = Actor(person_of(KITE, Role.OPERATOR), "web"), Actor(person_of(KITE, Role.VIEWER), "web")
    own, theirs = (PauseScope(PauseScopeKind.REPOSITORY, f"{team}-repo") for team in (KITE, FINCH))
    await control.resume(operator, own)
    assert {each.scope.name for each in (await window.served.app.queries.queue(operator)).pauses} == set()
    for actor, scope in ((operator, theirs), (operator, None), (viewer, own)):
        with pytest.raises(Exception, match="is not a maintainer or an operator"):
            await control.pause(actor, "x", scope)
    await control.pause(Actor(ROOT, "web"), "x")


def test_every_form_is_tried():
    assert FORMS.keys().isdisjoint(WITHOUT_SESSION)
    assert plain("/tasks/{number:int}/reply") in FORMS
