"""Every command of a chat, every tool of a program and the services behind them, on what another team owns."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any, Final

import pytest

from bot.commands.table import COMMANDS
from bot.mcp.tools import TOOLS, Caller, call_tool
from core.model.api_token import TokenScope
from core.model.errors import CountersignError, NotFoundError
from core.model.insight import Measure
from core.model.lifecycle import State
from core.model.place import Place
from core.model.role import Role
from core.model.search_query import SearchQuery
from core.model.task import Task
from core.model.task_filter import TaskFilter
from core.model.turn import MCP, Actor
from core.services.insight import Insight
from core.services.requests import NewRequest
from core.store import search
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
    person_of,
    telegram_of,
)

pytestmark = [pytest.mark.surfaces, pytest.mark.law, pytest.mark.xdist_group("window")]

ROOM: Final = Place("telegram", "-100")
THEIRS: Final = TASKS[FINCH]
MEMBER: Final = Actor(person_of(KITE, Role.ADMIN), "web")
COMMANDS_SENT: Final = (
    *("/task set server.timeout to 9 in config/app.yaml --repo REPO", "/task set a.b to 1 in x.yaml --lane LANE"),
    *("/reply N instead set server.timeout to 31 in config/app.yaml", "/approve N DIGEST", "/reject N no", "/show N"),
    *("/diff N", "/diff N config/x.yaml", "/why N", "/pick N", "/pick N 1", "/progress N", "/progress", "/retry N"),
    *("/cancel N", "/extend N", "/merge N", "/undo N", "/queue", "/gpu", "/hold --repo REPO x", "/release --repo REPO"),
    *("/move N --first", "/move 1 --before N", '/every "weekday 09:00" bump a to 2 in b.txt --repo REPO'),
    *(
        "/schedules",
        "/unschedule SCHEDULE",
        "/pause_schedule SCHEDULE",
        "/resume_schedule SCHEDULE",
        "/link",
        "/unlink",
    ),
    *("/web", "/help more"),
)


def same(text: str, number: int) -> str:
    return re.sub(rf"#{number}(?!\w)", "#N", text)


def filled(command: str, number: int, *, real: bool, digest: str, schedule: str) -> str:
    team = FINCH if real else "nothing"
    values = {
        "REPO": f"{team}-repo",
        "LANE": f"{team}-lane",
        "DIGEST": digest,
        "SCHEDULE": schedule if real else "sch_x1",
    }
    for key, value in values.items():
        command = command.replace(key, value)
    return re.sub(r"\bN\b", str(number), command)


def unnamed(text: str, schedule: str) -> str:
    """A text without the names that the command itself gave."""
    return text.replace(f"{FINCH}-", "nothing-").replace(schedule, "sch_x1")


async def events_of(window) -> int:
    queries = window.served.app.queries
    return sum([len(await queries.events(number=number)) for number in (THEIRS.staged, THEIRS.published, SHARED)])


def test_every_command_is_tried():
    assert {command.split()[0].removeprefix("/") for command in COMMANDS_SENT} == {spec.name for spec in COMMANDS}


async def test_no_command_in_a_chat_tells_of_another_team(window):
    served, schedules = window.served, await window.served.app.schedules.list()
    schedule = next(each.id for each in schedules if each.repo == f"{FINCH}-repo")
    digest, before = await served.digest(THEIRS.staged), await events_of(window)
    surface, identity = served.memory("telegram"), telegram_of(KITE, Role.ADMIN)
    for command in COMMANDS_SENT:
        answers = []
        for number, real in ((THEIRS.staged, True), (MISSING, False)):
            text = filled(command, number, real=real, digest=digest, schedule=schedule)
            response = await served.deliver(surface.writes(identity, text, ROOM))
            answers.append(same(unnamed(response.text, schedule), number))
            assert FINCH not in unnamed(response.text, schedule), (text, response.text)
        assert answers[0] == answers[1], command
    assert await events_of(window) == before
    for message in surface.messages.values():
        assert FINCH not in unnamed(message.text, schedule) + repr(message.card), message


async def test_no_tool_of_a_program_tells_of_another_team(window):
    app = window.served.app
    before = await events_of(window)
    caller = Caller("t", Actor(person_of(KITE, Role.ADMIN), MCP), frozenset({TokenScope.READ, TokenScope.REQUEST}))
    given: dict[str, dict[str, Any]] = {
        "ask": {"text": "set server.timeout to 8 in config/app.yaml", "repo": "REPO"},
        "reply": {"number": 0, "text": "instead set server.timeout to 31 in config/app.yaml"},
        "list": {"search": FINCH, "repo": "REPO"},
        "watch": {"number": 0, "timeout_s": 0},
    }
    for name in TOOLS:
        answers = []
        for number, repo in ((THEIRS.staged, f"{FINCH}-repo"), (SHARED, f"{FINCH}-repo"), (MISSING, "nothing-repo")):
            arguments = dict(given.get(name, {"number": 0}))
            arguments |= {"number": number} if "number" in arguments else {}
            arguments |= {"repo": repo} if "repo" in arguments else {}
            try:
                found = json.dumps(await call_tool(app, caller, name, arguments))
            except CountersignError as error:
                found = json.dumps(error.problem.to_json())
            shown = same(found, number).replace(f'"number": {number}', '"number": N').replace(repo, "REPO")
            assert FINCH not in shown, (name, shown)
            answers.append(shown)
        assert answers[0] == answers[1] == answers[2], name
    assert await events_of(window) == before


async def test_lists_searches_spending_and_figures_count_the_own_team_alone(window):
    app, stranger, root = window.served.app, Actor(STRANGER, "web"), Actor(ROOT, "web")
    page = await app.task_search.page(TaskFilter(), 50, MEMBER)
    assert [task.number for task in page.tasks] == [TASKS[KITE].published, TASKS[KITE].staged]
    assert [task.number for task in (await app.task_search.page(TaskFilter(), 50, stranger)).tasks] == [1]
    assert len((await app.task_search.page(TaskFilter(), 50, root)).tasks) == 6
    assert len((await app.task_search.page(TaskFilter(), 50, Actor(BOTH, "web"))).tasks) == 5
    words, names = SearchQuery.parse("set"), [f"{KITE}-repo"]
    found = await app.database.read(lambda tx: search.matching(tx, words, 100, 50, names))
    assert found == [SHARED, TASKS[KITE].published, TASKS[KITE].staged]  # the first has no repository yet
    counting = Insight(app.database, app.settings, recount_ms=0)
    while await counting.count_next():
        pass

    async def requested(actor: Actor) -> int:
        figures = await counting.figures(7, actor)
        return sum(count for count, _ in figures.sums[Measure.EVENT].get("task.requested", {}).values())

    assert [await requested(actor) for actor in (MEMBER, stranger, Actor(BOTH, "web"), root)] == [2, 1, 4, 6]
    people = (await counting.figures(7, MEMBER)).times[Measure.DECISION]
    assert people.keys() == {f"{KITE}-lee"}


async def test_a_request_cannot_wait_for_another_teams_task(window):
    for number in (THEIRS.published, SHARED, MISSING):
        wanted = NewRequest(text="set b.c to 3 in config/app.yaml", actor=MEMBER, repo=f"{KITE}-repo", after=number)
        with pytest.raises(NotFoundError, match=f"there is no task #{number}"):
            await window.served.app.requests.ask(wanted)


async def test_a_task_without_a_repository_is_seen_by_its_requester_and_by_who_sees_all_that_it_may_get(window):
    documents = window.served.app.documents
    for name in (BOTH, ROOT):
        assert (await documents.document(SHARED, Actor(name, "web"))).task.repo is None
    for name in (person_of(FINCH, Role.ADMIN), person_of(KITE, Role.ADMIN), STRANGER):
        with pytest.raises(NotFoundError, match=f"there is no task #{SHARED}"):
            await documents.document(SHARED, Actor(name, "web"))


async def test_an_answer_cannot_name_another_teams_repository_and_rights_end_with_the_membership(window):
    app, home = window.served.app, window.served.home
    asked = await app.requests.ask(NewRequest(text="set a.c to 3 in config/app.yaml", actor=Actor(BOTH, "web")))
    await becomes(app, asked, State.ASKING)
    config = home.root / "countersign.yaml"
    config.write_text(config.read_text().replace(f"team-{FINCH}: [member], team-{KITE}", f"team-{KITE}", 1))
    assert app.settings().people.seen_by(BOTH).names == (f"{KITE}-repo",)
    with pytest.raises(CountersignError, match="I do not understand"):  # as any other word
        await app.requests.reply(asked, f"{FINCH}-repo", Actor(BOTH, "web"))
    assert not await _sees(app, THEIRS.staged, Actor(BOTH, "web"))


async def becomes(app, number: int, state: State, revision: int = 1) -> Task:
    """The task once it is in this state; fails after a minute."""
    async with asyncio.timeout(60):
        while True:
            task: Task = (await app.documents.document(number)).task
            if (task.state, task.revision) == (state, revision):
                return task
            await asyncio.sleep(0.02)


async def _sees(app, number: int, actor: Actor) -> bool:
    try:
        await app.documents.document(number, actor)
    except NotFoundError:
        return False
    return True


def test_the_words_of_the_teams_are_in_the_home(team_home):
    assert all(word in (team_home.root / "countersign.yaml").read_text() for word in TEAMS)
