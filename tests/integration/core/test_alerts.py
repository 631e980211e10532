"""Objectives over what happened, and alerts that are announced once when they begin and once when they end."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from sqlalchemy import select, text
from sqlmodel import col

from bot.alerts.alert_text import OVER, alerts_of, missed_sentence
from bot.alerts.objectives_file import objectives_of
from bot.alerts.watch import AlertWatch
from core.model.endpoint_snapshot import EndpointSnapshot
from core.model.errors import ConfigError
from core.model.insight import DAY_MS
from core.model.inventory import ServerState
from core.model.job import JobKind, JobState
from core.model.objective import AlertKind, Objective, Subject
from core.model.place import Place
from core.model.step_time import StepEnd, StepTime
from core.model.turn import SYSTEM
from core.queue.duty_lease import DutyLease
from core.services.alerts import Alert, Alerts
from core.services.insight import Insight
from core.services.objectives import ObjectiveEvaluation
from core.store import api_tokens, events, inventory, objective_figures, queue_queries, step_times
from core.store.api_tables import ApiTokenRow
from core.store.message_tables import NoteRow
from core.store.unit_of_work import Tx
from tests import builders, campaign

pytestmark = [pytest.mark.window, campaign.EITHER]
ROOM = (Place("telegram", "-100"), Place("slack", "C1"))
WEEK_S = 7 * 24 * 3600
WAITS_S = [1, 2, 3, 4, 5, 6, 7, 8, 90, 600]


async def with_waits(database: Any, *, days_ago: int = 0) -> None:
    """Finish jobs that waited so long, of tasks that were requested on the terminal."""
    for wait_s in WAITS_S:
        number = await builders.put_task(database)

        async def add(tx: Tx, number: int = number, wait_s: int = wait_s) -> None:
            at = tx.now_ms - days_ago * DAY_MS
            created = {"at": at, "number": number}
            await tx.session.execute(text("UPDATE tasks SET created_ms = :at WHERE number = :number"), created)
            job = builders.job_row(number, at, kind=JobKind.CHANGE.value, lane="docs", state=JobState.DONE.value)
            job.ready_ms, job.claimed_ms, job.finished_ms = at - 1000 - wait_s * 1000, at - 1000, at
            tx.session.add(job)
            kind = "task.failed" if wait_s == WAITS_S[-1] else "task.staged"
            await events.append(Tx(tx.session, at, tx.new_id), number=number, kind=kind)

        await database.write(add)


def waits(name: str, within_s: float, share: float = 0.95, **more: Any) -> Objective:
    return Objective(name, Subject.WAIT, share, more.pop("window_s", WEEK_S), within_s, **more)


async def test_objectives_count_the_good_share_of_their_window_however_the_days_were_counted(database: Any) -> None:
    await with_waits(database)
    await with_waits(database, days_ago=3)
    objectives = [
        waits("all", 60, 0.8),
        waits("strict", 60),
        waits("terminal", 60, names=frozenset({"terminal"}), by_surface=True),
        waits("elsewhere", 60, names=frozenset({"slack"}), by_surface=True),
        waits("today", 60, 0.8, window_s=24 * 3600),
        waits("other-lane", 60, names=frozenset({"code"})),
        Objective("success", Subject.SUCCESS, 0.95, WEEK_S),
    ]
    evaluation, insight = ObjectiveEvaluation(database), Insight(database, builders.settings, recount_ms=0)
    for counted in (False, True):
        while counted and await insight.count_next():
            pass
        results = {each.objective.name: each for each in await evaluation.evaluate(objectives)}
        tallies = {name: (each.window.all, each.window.good) for name, each in results.items()}
        assert tallies == {
            "all": (20, 16),
            "strict": (20, 16),
            "terminal": (20, 16),
            "elsewhere": (0, 0),
            "today": (10, 8),
            "other-lane": (0, 0),
            "success": (20, 18),
        }
        assert [name for name, each in results.items() if not each.is_met] == ["strict", "terminal", "success"]
        assert results["strict"].burn_rate == pytest.approx(4)
        assert results["all"].budget_left == pytest.approx(0)
        assert results["strict"].quantile_s == pytest.approx(600, rel=0.1)
        assert "80% of the jobs waited no longer than" in missed_sentence(results["strict"])
        assert "4.0 times the error budget" in missed_sentence(results["strict"])


async def test_an_incident_is_announced_once_by_all_processes_and_once_when_it_is_over(database: Any) -> None:
    alert = Alert(AlertKind.ENDPOINT_LOST.value, "gpu1", "The endpoint gpu1 is lost.")
    watches = [Alerts(database, builders.settings) for _ in range(3)]  # the third one is as after a restart
    await asyncio.gather(*(watch.settle([alert], OVER, ROOM) for watch in watches))
    assert await watches[2].settle([alert], OVER, ROOM) == 0
    assert await announced(database) == [alert.sentence] * len(ROOM)
    assert [each.closed_at for each in (await watches[0].shown(SYSTEM))[1]] == [None]
    await asyncio.gather(*(watch.settle([], OVER, ROOM) for watch in watches))
    assert (await announced(database))[2:] == ["The endpoint gpu1 answers again."] * len(ROOM)
    assert await watches[0].settle([alert], OVER, ROOM) == 1
    incidents = (await watches[0].shown(SYSTEM))[1]
    assert [each.closed_at is None for each in incidents] == [True, False]


async def test_a_queue_stands_still_only_if_work_is_ready_and_none_runs(database: Any) -> None:
    alerts = Alerts(database, builders.settings)
    look = (frozenset[str](), 600_000, 120_000, 0)
    assert (await alerts.situation(*look)).stalled is None
    number = await builders.put_task(database)

    async def ready(tx: Tx) -> None:
        job = builders.job_row(number, tx.now_ms, kind=JobKind.CHANGE.value)
        job.ready_ms -= 700_000
        tx.session.add(job)

    await database.write(ready)
    situation = await alerts.situation(*look)
    assert situation.stalled is not None
    assert (situation.stalled.ready, situation.stalled.workers) == (1, 0)
    (alert,) = alerts_of(situation, [], [], await database.read(soon))
    assert "1 job is ready and none runs" in alert.sentence
    assert "no worker is alive" in alert.sentence

    async def runs(tx: Tx) -> None:
        other = builders.job_row(number, tx.now_ms, kind=JobKind.CHANGE.value, state=JobState.RUNNING.value)
        other.id = "job_other"
        tx.session.add(other)

    await database.write(runs)
    assert (await alerts.situation(*look)).stalled is None


async def test_looks_at_endpoints_are_counted_by_hour(database: Any) -> None:
    for is_up in (True, True, False):
        await database.write(lambda tx, is_up=is_up: objective_figures.add_look(tx, "gpu1", is_up))
    objective = Objective("up", Subject.ENDPOINT, 0.9, 3600, names=frozenset({"gpu1"}))
    (result,) = await ObjectiveEvaluation(database).evaluate([objective])
    assert (result.window.all, result.window.good) == (3, 2)
    assert not result.is_met


async def announced(database: Any) -> list[str]:
    """The texts of all notes, in order."""

    async def read(tx: Tx) -> list[str]:
        return list((await tx.session.execute(select(col(NoteRow.text)).order_by(col(NoteRow.id)))).scalars())

    return list(await database.read(read))


async def soon(tx: Tx) -> Any:
    return tx.now + timedelta(days=14)


async def test_a_watch_alerts_of_lost_endpoints_ending_tokens_and_certificates_once_and_of_their_end(
    database: Any, tmp_path: Path
) -> None:
    now = await database.read(clock)
    lost = EndpointSnapshot("gpu1", "ollama", ServerState.DOWN, "it refuses connections", checked_at=now)
    await database.write(lambda tx: inventory.save_snapshot(tx, lost))
    await database.write(lambda tx: with_token(tx, ends_in_days=3))
    await database.write(lambda tx: with_token(tx, ends_in_days=60))
    (tmp_path / "site.pem").write_bytes(certificate(ends_in_days=5))
    (tmp_path / "later.pem").write_bytes(certificate(ends_in_days=90))
    file = tmp_path / "objectives.yaml"
    file.write_text(f"version: 1\n{UP}alerts: {{certificates: [site.pem, later.pem], to: [{IN_SLACK}]}}\n")
    for _ in range(2):  # the second one is as after a restart
        await watch(database, tmp_path).round()
        sentences = sorted(await announced(database))
        assert [re.sub(r" at \d{4}-.*? UTC| \(tok\d+\)", "", each) for each in sentences] == [
            MISSED,
            "The API token ci of ana ends in 2 days. Create another one with `countersign tokens create`.",
            "The certificate site.pem ends. Renew it.",
            "The endpoint gpu1 is lost: it refuses connections. Work waits for it or goes elsewhere.",
        ]
    file.write_text("version: 1\n")
    back = replace(lost, state=ServerState.UP, seen_at=now, problem="")
    await database.write(lambda tx: inventory.save_snapshot(tx, back))
    assert await watch(database, tmp_path).round() == 3  # the token still ends
    file.write_text("version: 1\nalert: {}\n")
    with pytest.raises(ConfigError, match=r"objectives\.yaml:2"):
        await watch(database, tmp_path).round()
    assert len(await announced(database)) == 4, "what ends in the usual places is announced there, and there are none"


MISSED = "An objective is missed. up: 0% of the looks found the endpoint up in 1 h (gpu1), and 90% should; "
MISSED += "1 of 1 did not, which is 10.0 times the error budget."
UP = "objectives: {up: {subject: endpoint, endpoint: gpu1, share: 0.9, window: 1h}}\n"
IN_SLACK = "{surface: slack, channel: C1}"


def watch(database: Any, home: Path) -> AlertWatch:
    """A watch of a home with one endpoint and without usual places."""
    lease = cast("DutyLease", None)  # `round` does not ask whose duty it is
    evaluation = ObjectiveEvaluation(database)
    return AlertWatch(
        lease, Alerts(database, builders.settings), evaluation, objectives_of(home), lambda: {"gpu1"}, lambda: ()
    )


async def clock(tx: Tx) -> datetime:
    return tx.now


async def with_token(tx: Tx, ends_in_days: int) -> None:
    """Add a token of ana's that ends so soon."""
    ends_ms = tx.now_ms + ends_in_days * DAY_MS
    row = ApiTokenRow(id=f"tok{ends_in_days}", secret_sha256="0", name="ci", person="ana", scopes=["read"])
    row.created_ms, row.expires_ms = tx.now_ms, ends_ms
    await api_tokens.add(tx, row)


def certificate(ends_in_days: int) -> bytes:
    """A self-signed certificate that ends so soon."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    now = datetime.now(UTC)
    built = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    built = built.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=ends_in_days))
    return built.sign(key, SHA256()).public_bytes(Encoding.PEM)


async def test_a_reused_result_keeps_the_time_in_which_it_was_made(database: Any) -> None:
    number = await builders.put_task(database)
    job_id = await builders.put_job(database, number, state=JobState.RUNNING.value, owner="w", fence=1)

    async def ran(tx: Tx, how: StepEnd, begin_ms: int, end_ms: int) -> None:
        (queued,) = await queue_queries.queued_of(tx, number)
        assert queued.job.id == job_id
        await step_times.add(tx, queued.job, "three", 0, StepTime("slow", (), how, begin_ms, end_ms))

    await database.write(lambda tx: ran(tx, StepEnd.RAN, 1_000, 9_000))
    await database.write(lambda tx: ran(tx, StepEnd.REUSED, 20_000, 20_001))
    ((_, _, (step,)),) = await database.read(lambda tx: step_times.of_task(tx, number))
    assert (step.how, step.seconds) == (StepEnd.RAN, 8.0)
    await database.write(lambda tx: ran(tx, StepEnd.FAILED, 30_000, 31_000))
    ((_, _, (step,)),) = await database.read(lambda tx: step_times.of_task(tx, number))
    assert (step.how, step.seconds) == (StepEnd.FAILED, 1.0)
