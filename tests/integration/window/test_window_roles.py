"""Every route of the pages with every role, and the same bounds in a chat and on the terminal (security.md 125)."""

from __future__ import annotations

import asyncio
import re

import pytest
import pytest_asyncio

from core.model.lifecycle import State
from core.model.role import Role
from core.model.turn import Actor
from core.services.requests import NewRequest
from tests.integration.window.test_window_sessions import counts, paths_of
from tests.roles import PEOPLE, add_people
from tests.window import open_window

pytestmark = [pytest.mark.window, pytest.mark.law, pytest.mark.xdist_group("window")]

DIGEST = {"digest": "DIGEST"}
FORMS = {
    "/tasks/{number}/approve": (Role.APPROVER, DIGEST),
    "/tasks/{number}/sign-options": (Role.APPROVER, DIGEST),
    "/tasks/{number}/extend": (Role.APPROVER, {"question": "1"}),
    "/tasks/{number}/reject": (Role.APPROVER, {**DIGEST, "reason": "no"}),
    "/tasks/{number}/pick": (Role.REQUESTER, {**DIGEST, "part": "0" * 20, "do": "keep"}),
    "/tasks/{number}/reply": (Role.REQUESTER, {"text": "instead set server.timeout to 31 in config/app.yaml"}),
    "/tasks/{number}/merge": (Role.APPROVER, {}),
    "/tasks/{number}/undo": (Role.REQUESTER, {}),
    "/tasks/{number}/retry": (Role.REQUESTER, {}),
    "/tasks/{number}/cancel": (Role.APPROVER, {}),  # another person's
    "/tasks/{number}/comment": (Role.REQUESTER, {**DIGEST, "file": "0", "at": "n1", "text": "why?"}),
    "/tasks/{number}/comments/send": (Role.REQUESTER, DIGEST),
    "/tasks/{number}/comments/discard": (Role.VIEWER, DIGEST),
    "/together": (Role.APPROVER, {"t1": "DIGEST"}),
    "/ask": (Role.REQUESTER, {"text": "set server.timeout to 31 in config/app.yaml", "repo": "web"}),
    "/first-steps/ask": (Role.VIEWER, {}),  # this home has no sample, which is said first
    "/queue/pause": (Role.OPERATOR, {"reason": "x"}),
    "/queue/resume": (Role.OPERATOR, {}),
    "/queue/move": (Role.OPERATOR, {"task": "1", "to": "first", "reason": "x"}),
    "/queue/what-if": (Role.OPERATOR, {}),
    "/endpoints/drain": (Role.OPERATOR, {"endpoint": "x", "reason": "x"}),
    "/endpoints/resume": (Role.OPERATOR, {"endpoint": "x"}),
    "/policy/check": (Role.OPERATOR, {}),
    "/policy/explain": (Role.VIEWER, {"text": "set server.timeout to 31 in config/app.yaml", "repo": "web"}),
    "/schedules/change": (Role.VIEWER, {"schedule": "x", "do": "pause"}),  # there is none called x, which is said first
    "/lanes/check": (Role.ADMIN, {"template": "docs-fix"}),
    "/lanes/add": (Role.ADMIN, {"text": "name: x"}),
    "/schedules/run": (Role.VIEWER, {"schedule": "x"}),
    "/sessions/revoke": (Role.VIEWER, {"session": "ses_x"}),
    "/passkeys/register-options": (Role.VIEWER, {}),
    "/passkeys/register": (Role.VIEWER, {"name": "x", "credential": "{}"}),
    "/passkeys/revoke": (Role.VIEWER, {"passkey": "pk_x"}),
    "/authenticator/begin": (Role.VIEWER, {}),
    "/authenticator/confirm": (Role.VIEWER, {"code": "123456"}),
    "/authenticator/recovery-codes": (Role.VIEWER, {}),
    "/authenticator/remove": (Role.VIEWER, {}),
    "/step-up": (Role.VIEWER, {"code": "123456"}),
    "/step-up/options": (Role.VIEWER, {}),
    "/sessions/revoke-all": (Role.VIEWER, {}),
    "/audit/check": (Role.OPERATOR, {}),
    "/sign-out": (Role.VIEWER, {}),
}
"""Every form, the role that it needs, and what it sends; a form without a case fails the test below."""
CHANGES = {
    "/together",
    "/tasks/{number}/comments/send",
    "/tasks/{number}/pick",
    *(f"/tasks/{{number}}/{step}" for step in ("approve", "reject", "reply", "cancel", "retry", "undo", "merge")),
}
"""The forms after which the task is not what the other forms are about."""
PAGES = {
    "/queue/what-if": Role.OPERATOR,
    "/tasks/{number:int}/comment": Role.REQUESTER,
    "/people": Role.OPERATOR,
    "/audit": Role.OPERATOR,
    "/doctor": Role.OPERATOR,
    "/doctor/rows": Role.OPERATOR,
}
"""The pages that not every role sees."""
WITHOUT_SESSION = {
    "/sign-in",
    "/sign-in/password",
    "/sign-in/passkey",
    "/sign-in/passkey-options",
    "/sign-in/with/{provider}",
}
REFUSED = re.compile(
    r"has the role [a-z]+; this needs the role|is not a maintainer or an operator|only maintainers and the operator"
)


@pytest_asyncio.fixture
async def window(home_staged):
    """A served home in which #1 is staged, with a person for each role."""
    add_people(home_staged)
    async with open_window(home_staged) as opened:
        yield opened


def plain(path: str) -> str:
    return re.sub(r"\{([a-z0-9]+):[a-z]+\}", r"{\1}", path)


async def test_every_form_has_a_case(window):
    posts = {plain(path) for method, path in paths_of(window) if method == "POST"}
    assert posts == FORMS.keys() | WITHOUT_SESSION


@pytest.mark.parametrize("role", Role)
async def test_125_every_page_is_shown_to_every_role_and_every_form_refuses_the_lower_ones(window, role):
    person, digest = PEOPLE[role], await window.served.digest()
    visit = await window.signed_in(person)
    for method, path in sorted(paths_of(window)):
        if method == "GET" and path != "/news" and not path.startswith("/sign-in/with/"):
            response = await visit.get(re.sub(r"\{[a-z0-9]+(:[a-z]+)?\}", "1", path))
            expected = (200, 400, 404, 409) if role >= PAGES.get(path, Role.VIEWER) else (403,)
            assert response.status_code in expected, (role, path)
    for path, (needed, fields) in sorted(FORMS.items()):
        if path == "/sign-out" or (role >= needed and path in CHANGES):
            continue  # it would change what the next form is about
        sent = {key: value.replace("DIGEST", digest) for key, value in fields.items()}
        response = await visit.post(path.replace("{number}", "1"), {"csrf": visit.csrf, **sent})
        assert response.status_code < 500, (role, path)
        assert bool(REFUSED.search(response.text)) == (role < needed), (role, path, response.text)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.REQUESTER])
async def test_what_a_role_does_not_include_changes_nothing_on_any_surface(window, role):
    """The services refuse, so chats, pages, the API and the terminal do; the terminal is tried here."""
    name, digest, home = PEOPLE[role], await window.served.digest(), window.served.home
    text = "set server.timeout to 31 in config/app.yaml"
    commands: list[tuple[object, ...]] = [
        ("approve", 1, digest),
        ("reject", 1, "--reason", "no"),
        ("pause",),
        ("extend", 1),
    ]
    if role is Role.VIEWER:
        commands += [("ask", text, "--repo", "web"), ("reply", 1, text), ("cancel", 1), ("every", "monday 09:00", text)]
    before = (await counts(window))[1]
    for command in commands:
        said = await asyncio.to_thread(lambda argv: home.call(*argv, "--as", name), command)
        assert said.code == 3, said
        assert REFUSED.search(said.sentence()), said
    assert (await counts(window))[1] == before
    assert (await window.served.task()).state is State.STAGED


async def test_a_viewer_waits_for_nothing_and_no_approval_waits_for_them(window):
    viewer = Actor(PEOPLE[Role.VIEWER], "web")
    attention = await window.served.app.attention.of_task(1, viewer)
    assert attention.keys() == {"lee", "max"}  # the viewer is a maintainer too
    document = await window.served.app.documents.document(1)
    assert document.needs.of == ("lee", "max")


async def test_a_request_by_a_role_that_may_make_them_is_accepted(window):
    """Else the tests above could not fail."""
    asked = NewRequest(
        text="set server.timeout to 31 in config/app.yaml", actor=Actor(PEOPLE[Role.REQUESTER], "web"), repo="web"
    )
    assert await window.served.app.requests.ask(asked) == 2
