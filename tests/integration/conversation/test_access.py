"""Roles and passkeys in a chat: who may only see is told so, and a rule that demands a passkey says where to go."""

from __future__ import annotations

import pytest

from core.model.lifecycle import State
from tests.integration.conversation.conftest import WHERE
from tests.served_home import ASK

pytestmark = [pytest.mark.surfaces, pytest.mark.law]

GROUP = WHERE["telegram"]


def edit(served, name: str, before: str, after: str) -> None:
    """Change a file of the home; it is read at the next decision."""
    path = served.home.root / name
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


async def test_a_viewer_asks_for_nothing_and_decides_nothing_in_a_chat(served):
    card = await served.staged(GROUP)
    edit(served, "countersign.yaml", "lee: {roles: [maintainer]", "lee: {roles: [maintainer, viewer]")
    asked = await served.says("lee", ASK, GROUP)
    assert "lee has the role viewer; this needs the role requester" in asked.text
    pressed = await served.clicks("lee", card, "Approve")
    assert pressed.refused
    assert "lee has the role viewer; this needs the role approver" in pressed.text
    assert (await served.task()).state is State.STAGED


async def test_a_rule_that_demands_a_passkey_sends_approvers_to_the_page(served):
    card = await served.staged(GROUP)
    edit(
        served,
        "policy.yaml",
        "approvals: {count: 1, from: [maintainer]}",
        "step_up: passkey\n      approvals: {count: 1, from: [maintainer]}",
    )
    pressed = await served.clicks("lee", card, "Approve")
    assert pressed.refused
    assert "Open the page of #1 in a browser, and approve it there with your passkey." in pressed.text
    assert (await served.task()).state is State.STAGED
