"""Every route of the API with every role: what a role does not include is refused, whatever rules say."""

from __future__ import annotations

import pytest
import pytest_asyncio

from core.model.role import Role
from tests.integration.api.api_home import body_of, served_api
from tests.integration.api.test_every_route import OWN, ROUTES, hidden_schedule
from tests.roles import PEOPLE, add_people

pytestmark = [pytest.mark.surfaces, pytest.mark.law, pytest.mark.xdist_group("api")]

NEEDED = {"read": Role.VIEWER, "request": Role.REQUESTER, "approve": Role.APPROVER, "operate": Role.OPERATOR}
"""The role that the routes of a scope need."""
MORE = {"merge": Role.APPROVER, "extend": Role.APPROVER}
"""Routes that need another one."""
REFUSALS = {"role", "may_not_hold", "may_not_drain"}


@pytest_asyncio.fixture
async def api(api_home):
    """The API of a home with a person for each role."""
    add_people(api_home)
    async with served_api(api_home) as served:
        yield served


@pytest.mark.parametrize("role", Role)
async def test_every_route_refuses_exactly_the_roles_below_its_own(api, role):
    schedule = await hidden_schedule(api)
    client = await api.client(PEOPLE[role])
    for route in ROUTES:
        answer = await route.call(client, OWN, "web", schedule)
        needed = MORE.get(route.name, NEEDED[route.scope])
        code = body_of(answer).get("code") if answer.status_code == 403 else None
        assert answer.status_code < 500, (route, answer.text)
        assert (code in REFUSALS) == (role < needed), (role, route, answer.status_code, answer.text)
