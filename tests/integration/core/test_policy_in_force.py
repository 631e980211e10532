"""A policy that was tightened holds at the click, at publishing and at merging, whatever made the tree (guard 8)."""

from __future__ import annotations

import pytest

from core.model.change import FileChange, show_path
from core.model.errors import RefusedError
from core.model.lifecycle import State
from core.model.staged_diff import StagedDiff
from core.model.turn import Actor
from core.store import tasks
from core.store.tables import RevisionRow
from tests import builders, campaign
from tests.builders import LEE, MAX, added_file, change, file_change

pytestmark = [pytest.mark.law, campaign.EITHER]

OPERATOR = Actor(None, "terminal")


async def test_guard_08_a_glob_that_protects_holds_at_the_click(harness):
    number, digest = await harness.stage()
    harness.policy.protects = "config/"
    problem = (await harness.approvals.approve(number, digest, LEE)).problem
    assert problem.code == "no_longer_allowed"
    assert "config/app.yaml is protected" in problem.message
    assert await harness.state(number) is State.STAGED


async def test_guard_08_it_holds_at_publishing(harness):
    number, digest = await harness.stage()
    assert (await harness.approvals.approve(number, digest, LEE)).problem is None
    harness.policy.protects = "config/"
    await harness.drain()
    task = await harness.task(number)
    assert (task.state, task.error.code) == (State.STAGED, "approval_void")
    assert "config/app.yaml is protected" in task.error.message
    assert not harness.forge.branches


async def test_guard_08_it_holds_at_merging(harness):
    number = await harness.publish()
    await harness.requests.merge(number, OPERATOR)
    harness.policy.protects = "config/"
    await harness.drain()
    task = await harness.task(number)
    assert (task.state, task.error.code) == (State.PUBLISHED, "approval_void")
    assert "config/app.yaml is protected" in task.error.message


async def test_guard_08_nobody_but_the_operator_may_even_ask_for_the_merge(harness):
    number = await harness.publish()
    harness.policy.protects = "config/"
    with pytest.raises(RefusedError, match="does not let lee merge"):
        await harness.requests.merge(number, LEE)


async def test_guard_08_who_may_merge_is_asked_about_the_published_revision(harness):
    """A later revision that was rejected says nothing of the pull request that stands."""
    number = await harness.publish()
    await harness.requests.reply(number, "secret/x = 1", builders.ANA)
    await harness.drain()
    await harness.approvals.reject(number, "", LEE)
    assert await harness.state(number) is State.PUBLISHED
    harness.policy.protects = "secret/"
    assert (await harness.requests.merge(number, MAX)).state is State.PUBLISHED
    await harness.drain()
    assert await harness.state(number) is State.MERGED


async def test_guard_08_the_card_says_that_nobody_can_approve_it(harness):

    number, _ = await harness.stage()
    harness.policy.protects = "config/"
    assert (await harness.document(number)).to_json()["staged"]["needs"] == []


async def test_guard_12_an_earlier_no_to_the_same_bytes_signs_nothing(harness):
    """Lee rejected these bytes; the same ones come again, and max approves them."""
    number, digest = await harness.stage()
    assert (await harness.approvals.reject(number, "not yet", LEE)).problem is None
    await harness.requests.reply(number, "config/app.yaml = a: 1", builders.ANA)
    await harness.drain()
    assert (await harness.task(number)).staged.digest == digest
    assert (await harness.approvals.approve(number, digest, MAX)).problem is None
    await harness.drain()
    task = await harness.task(number)
    assert task.state is State.PUBLISHED, task.error
    message = harness.repository.commits[task.pull_request.head].message
    assert "Countersigned-by: max" in message
    assert "Countersigned-by: lee" not in message


async def test_what_policy_no_longer_allows_may_still_be_rejected(harness):
    number, _ = await harness.stage()
    harness.policy.protects = "config/"
    assert (await harness.approvals.reject(number, "", LEE)).task.state is State.REJECTED


# ---- rows that were changed


async def tamper(harness, number: int, change_row) -> None:
    async def work(tx):
        revision = await tasks.revision_of(tx, number, 1)
        assert revision is not None
        assert revision.staged is not None
        await tasks.save_revision(tx, number, 1, {"staged": change_row(revision.staged.to_json())})

    await harness.database.write(work)


async def test_guard_12_files_that_are_not_those_of_the_digest_are_not_approved(harness):
    number, digest = await harness.stage()
    await tamper(harness, number, lambda row: {**row, "files": [{**row["files"][0], "path": "docs/harmless.md"}]})
    problem = (await harness.approvals.approve(number, digest, LEE)).problem
    assert problem.code == "rows_changed"
    assert "do not match its digest" in problem.message
    assert "modified outside" in problem.mend


async def test_guard_12_a_guard_report_that_was_forged_is_not_approved(harness):
    """Approvers are shown what the guard said, or nothing of it counts."""
    number, digest = await harness.stage()
    await tamper(harness, number, lambda row: {**row, "guard": []})
    problem = (await harness.approvals.approve(number, digest, LEE)).problem
    assert problem.code == "rows_changed"
    assert "guard" in problem.message


async def test_guard_12_authors_that_were_struck_out_are_not_approved_by(harness):
    number, _ = await harness.stage()
    await harness.requests.reply(number, "config/b.yaml = b: 1", LEE)
    await harness.drain()
    task = await harness.task(number)

    async def work(tx):
        row = await tx.session.get(RevisionRow, (number, 2))
        row.author, row.basis = "ana", {**row.basis, "authors": []}
        tx.session.add(row)

    await harness.database.write(work)
    problem = (await harness.approvals.approve(number, task.staged.digest, LEE)).problem
    assert problem.code == "rows_changed"
    assert "authors" in problem.message


async def test_guard_12_terms_that_were_forged_are_not_published(harness):
    harness.policy.terms = builders.terms(2)
    number, digest = await harness.stage()
    assert (await harness.approvals.approve(number, digest, LEE)).problem is None
    harness.policy.terms = builders.terms(1)

    async def work(tx):
        await tasks.save_revision(tx, number, 1, {"terms": builders.terms(1).to_json()})

    await harness.database.write(work)
    await harness.approvals.approve(number, digest, MAX)
    await harness.drain()
    task = await harness.task(number)
    assert (task.state, task.error.code) == (State.FAILED, "rows_changed")
    assert "approval requirements" in task.error.message


async def test_guard_12_a_tree_that_is_not_the_digests_is_not_published(harness):
    """The row's tree is swapped for another one after the approval; the digest stays."""
    number, digest = await harness.stage()
    evil = harness.repository.add({"README.md": b"hello", "evil.py": b"evil"})
    assert (await harness.approvals.approve(number, digest, LEE)).problem is None
    await tamper(harness, number, lambda row: {**row, "tree": evil})
    await harness.drain()
    task = await harness.task(number)
    assert (task.state, task.error.code) == (State.FAILED, "not_as_digested")
    assert task.pull_request is None


async def test_guard_12_a_tree_that_is_not_the_digests_is_not_merged(harness):
    number = await harness.publish()
    evil = harness.repository.add({"README.md": b"hello", "evil.py": b"evil"})
    await tamper(harness, number, lambda row: {**row, "tree": evil})
    await harness.requests.merge(number, OPERATOR)
    await harness.drain()
    task = await harness.task(number)
    assert (task.state, task.error.code) == (State.PUBLISHED, "not_as_digested")


# ---- what is stored of a file


@pytest.mark.parametrize("path", [b"a.txt", b"\xff.txt", b"a\\b", "ü".encode(), b"tab\t", b"\xc2\x85"])
def test_guard_08_a_stored_file_has_the_paths_own_bytes(path):
    for file in (file_change(path), added_file(path)):
        again = FileChange.from_json(file.to_json())
        assert again.path == path
        assert (again.old_sha256, again.new_sha256, again.new_size) == (
            file.old_sha256,
            file.new_sha256,
            file.new_size,
        )
        assert file.to_json()["path"] == show_path(path)


def test_guard_12_a_staged_row_tells_whether_it_still_is_what_was_digested():
    from core.model.staged_diff import GuardReport, stage

    staged = stage(change(file_change("a"), added_file(b"\xff")), GuardReport(()))
    assert staged.is_as_digested
    row = staged.to_json()
    row["files"][0] = {**row["files"][0], "sha256": "0" * 64}
    assert not StagedDiff.from_json(row).is_as_digested
    assert not StagedDiff.from_json({**staged.to_json(), "base": "f" * 40}).is_as_digested


def test_an_older_versions_row_is_read_as_it_was():
    old = {"path": "a", "status": "M", "added": 1, "removed": 1, "old_mode": "100644", "mode": "100644"}
    row = {"digest": "d" * 64, "repository": "r", "base": "b", "tree": "t", "files": [old], "guard": []}
    staged = StagedDiff.from_json(row)
    assert staged.is_as_digested
    assert [file.path for file in staged.changes] == [b"a"]
