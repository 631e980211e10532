"""People with each of the five roles, in a home of the tests."""

from __future__ import annotations

from core.model.role import Role
from tests.homes import CliHome

PEOPLE = {role: f"the-{role.word}" for role in Role}
"""A person for each role; they have another one that rules name, so that only the role can refuse them."""


def add_people(home: CliHome) -> None:
    """Configure the people, and let every member approve: then only their roles can refuse them."""
    config, policy = home.root / "countersign.yaml", home.root / "policy.yaml"
    more = {Role.VIEWER: "maintainer"}  # who may do everything but for being a viewer
    lines = "".join(
        f"  {name}: {{roles: [{more.get(role, 'member')}, {role.word}]}}\n" for role, name in PEOPLE.items()
    )
    config.write_text(config.read_text().replace("people:\n", f"people:\n{lines}", 1))
    text = policy.read_text()
    assert "from: [maintainer]}" in text
    policy.write_text(text.replace("from: [maintainer]}", "from: [maintainer, member]}"))
