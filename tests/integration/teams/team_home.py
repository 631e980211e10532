"""A home of two teams; in everything of a team is a word of its own, which no one of the other team may ever read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from core.model.role import Role
from tests.homes import FILES, CliHome, make_repository

FINCH: Final = "zebrafinch"
KITE: Final = "kingfisher"
TEAMS: Final = (FINCH, KITE)
"""The teams; a team's name is the word in its repository, its people, its texts, its rule and its lane."""
STRANGER: Final = "stranger"
"""A person of the team ``default``, whose only repository is ``web``."""
ROOT: Final = "root-admin"
"""A person who sees the whole home."""
BOTH: Final = "both"
"""A member of both teams."""
MISSING: Final = 7
"""The number of no task; it has as many digits as those of tasks."""


def other_than(team: str) -> str:
    """The other team."""
    return KITE if team == FINCH else FINCH


def person_of(team: str, role: Role) -> str:
    """The person of a team with this role; they are maintainers or members too, so that only the role refuses them."""
    return f"{team}-{role.word}"


def telegram_of(team: str, role: Role) -> str:
    """The account of that person in a chat."""
    return str(5000 + 10 * TEAMS.index(team) + role)


@dataclass(frozen=True)
class TeamTasks:
    """The numbers of a team's tasks."""

    staged: int
    published: int


TASKS: Final = {FINCH: TeamTasks(2, 3), KITE: TeamTasks(4, 5)}
SHARED: Final = 6
"""A request of `BOTH` that has no repository yet."""


def make_team_home(home: CliHome) -> None:
    """Turn a home whose #1 is staged in ``web`` into one of two teams, with the tasks of `TASKS` and `SHARED`."""
    repositories, people, rules = list[str](), list[str](), list[str]()
    for team in TEAMS:
        bare = home.folder / f"{team}.git"
        make_repository(bare, {**FILES, f"config/{team}.yaml": f"{team}: 1\n"})
        repositories.append(f'  {team}-repo: {{url: "{bare}", branch: main, team: team-{team}}}')
        for role in Role:
            also = "maintainer" if role is Role.VIEWER else "member"
            account = f'{{telegram: "{telegram_of(team, role)}"}}'
            roles = f"[{also}, {role.word}]"
            people.append(f"  {person_of(team, role)}: {{teams: {{team-{team}: {roles}}}, identities: {account}}}")
        people.append(f"  {team}-lee: {{teams: {{team-{team}: [maintainer]}}}}")
        lane = f'name: {team}-lane\ndescribe: changes {team}\nwrite: ["config/**"]\nexecutor: edit\n'
        (home.root / "lanes" / f"{team}-lane.yaml").write_text(lane)
        rules.append(
            f"  - name: {team}-rule\n    when: {{lane: {team}-lane, from: [member, {team}-lee], repo: {team}-repo}}\n"
            f"    allow: {{approvals: {{count: 1, from: [maintainer, {team}-lee]}}, self_approve: false}}\n"
        )
    people.append(f"  {BOTH}: {{teams: {{team-{FINCH}: [member], team-{KITE}: [member]}}}}")
    people += [f"  {STRANGER}: {{roles: [member]}}", f"  {ROOT}: {{home_roles: [admin]}}"]
    config, policy = home.root / "countersign.yaml", home.root / "policy.yaml"
    text = config.read_text().replace("repositories:\n", "repositories:\n" + "\n".join(repositories) + "\n", 1)
    text = text.replace("people:\n", "people:\n" + "\n".join(people) + "\n", 1)
    teams = ", ".join(f"team-{team}" for team in TEAMS)
    config.write_text(text.replace("version: 1\n", f"version: 1\nteams: [{teams}]\n", 1))
    law = policy.read_text().replace("\nrules:\n", "\nrules:\n" + "".join(rules), 1)
    policy.write_text(law.replace("from: [maintainer]}", "from: [maintainer, member]}"))
    for team in TEAMS:
        _add_tasks(home, team)
    asked = home.document("ask", f"set {FINCH}.{KITE} to 5 in config/app.yaml", "--as", BOTH, "--wait", code=1)
    assert (asked["number"], asked["state"]) == (SHARED, "asking"), asked


def _add_tasks(home: CliHome, team: str) -> None:
    tasks, repo, author = TASKS[team], f"{team}-repo", person_of(team, Role.REQUESTER)

    def ask(number: int, value: int) -> str:
        words = f"set {team} to {value} in config/{team}.yaml"
        asked = home.document("ask", words, "--repo", repo, "--lane", f"{team}-lane", "--as", author, "--wait")
        assert (asked["number"], asked["state"]) == (number, "staged"), asked
        return str(asked["staged"]["digest"])

    ask(tasks.staged, 2)
    digest = ask(tasks.published, 3)
    lee = f"{team}-lee"
    published = home.document("approve", tasks.published, digest, "--as", lee, "--wait")
    assert published["state"] == "published", published
    words = f"set {team} to 4 in config/{team}.yaml"
    every = home.call("every", "weekday 09:00", words, "--repo", repo, "--lane", f"{team}-lane", "--as", author)
    assert every.code == 0, every
    paused = home.call("pause", "--repo", repo, "--reason", f"{team} rests")
    assert paused.code == 0, paused
