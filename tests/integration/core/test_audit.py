"""The audit of a task's rows: what an older version stored agrees with its events, and a changed row does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.model.event import canonical_sha256
from core.model.lifecycle import State
from core.model.part_selection import PickedPart
from core.model.task import Basis
from core.rules.audit import AuditRows, contradictions, forged_staging
from core.store import events, tasks
from core.store.database import Database
from core.store.unit_of_work import Tx
from tests import builders

REQUIREMENTS = builders.terms(2).to_json()
BEFORE_MERGING = {key: value for key, value in REQUIREMENTS.items() if key not in ("merge", "escalate_to")}
"""As a version stored them that did not know these fields; today they have their defaults."""


async def contradictions_of(database: Database, stored: dict[str, Any], hashed: dict[str, Any]) -> tuple[str, ...]:
    """Those of a task whose row has the requirements `stored`, and whose event has the hash of `hashed`."""
    number = await builders.put_task(database, State.QUEUED)

    async def plan(tx: Tx) -> None:
        await tasks.save_revision(tx, number, 1, {"terms": stored})
        body = {"revision": 1, "lane": "config", "rule": "small-changes", "reason": ""}
        await events.append(
            tx, number=number, kind="task.planned", body={**body, "terms_sha256": canonical_sha256(hashed)}
        )

    async def audit(tx: Tx) -> tuple[str, ...]:
        task = await tasks.load(tx, number)
        return contradictions(AuditRows(task, task.current, (), ()), await events.chain_of(tx, number))

    await database.write(plan)
    return await database.read(audit)


@pytest.mark.parametrize("stored", [REQUIREMENTS, BEFORE_MERGING], ids=["today", "with fewer fields"])
async def test_stored_requirements_agree_with_the_event_of_their_plan(database, stored):
    assert not [found for found in await contradictions_of(database, stored, stored) if "requirements" in found]


@pytest.mark.parametrize(
    "stored",
    [REQUIREMENTS | {"count": 1}, BEFORE_MERGING | {"self_approve": True}, REQUIREMENTS | {"unknown": 1}],
    ids=["fewer approvals", "self-approval", "another field"],
)
async def test_requirements_that_were_changed_later_contradict_the_event(database, stored):
    hashed = BEFORE_MERGING if "merge" not in stored else REQUIREMENTS
    found = await contradictions_of(database, stored, hashed)
    assert "the approval requirements of revision 1 are not those that policy set" in found


async def staging_contradictions(database: Database, stored: dict[str, Any], hashed: list[Any]) -> tuple[str, ...]:
    """Those of a task that has `stored` staged, and whose event has the hash of the guard's report `hashed`."""
    number = await builders.put_task(database, State.STAGED)

    async def stage(tx: Tx) -> None:
        await tasks.save_revision(tx, number, 1, {"staged": stored})
        body = {"revision": 1, "digest": stored["digest"], "guard_sha256": canonical_sha256(hashed)}
        await events.append(tx, number=number, kind="task.staged", body=body)

    async def audit(tx: Tx) -> tuple[str, ...]:
        return forged_staging(await tasks.load(tx, number), await events.chain_of(tx, number))

    await database.write(stage)
    return await database.read(audit)


FINDING = {"check": "paths", "verdict": "pass", "detail": "in the lane", "path": None}
STAGED = {"digest": "0" * 64, "repository": "web", "base": "1" * 40, "tree": "2" * 40, "files": [{"path": "a"}]}


@pytest.mark.parametrize(
    "finding",
    [FINDING, {key: FINDING[key] for key in ("check", "verdict", "detail")}, FINDING | {"severity": "block"}],
    ids=["today", "with fewer fields", "with more fields"],
)
async def test_a_guard_report_of_another_version_agrees_with_the_event_of_its_staging(database, finding):
    assert not await staging_contradictions(database, STAGED | {"guard": [finding]}, [finding])


async def test_a_guard_report_that_was_changed_later_contradicts_the_event(database):
    stored = STAGED | {"guard": [FINDING]}
    found = await staging_contradictions(database, stored, [FINDING | {"verdict": "block"}])
    assert found == ("the guard's report on revision 1 was changed",)


@pytest.mark.parametrize(("by", "is_forged"), [("lee", False), ("max", True)])
async def test_a_choice_of_parts_that_no_event_records_is_named(database, by, is_forged):
    number = await builders.put_task(database, State.STAGED)
    made = PickedPart.of(builders.part_selection("d" * 64), 1, "lee")

    async def pick(tx: Tx) -> None:
        basis = Basis((1,), picked=(replace(made, person=by),))
        await tasks.save_revision(tx, number, 1, {"basis": basis.to_json()})
        body = {"text": "pick 1", "picked": made.to_json()}
        await events.append(tx, number=number, kind="task.staged", body={"revision": 1, "digest": "d" * 64})
        await events.append(tx, number=number, kind="task.replied", person="lee", body=body)

    async def audit(tx: Tx) -> tuple[str, ...]:
        task = await tasks.load(tx, number)
        return contradictions(AuditRows(task, task.current, (), ()), await events.chain_of(tx, number))

    await database.write(pick)
    found = await database.read(audit)
    assert (f"no event records that {by} kept those parts of revision 1" in found) is is_forged
