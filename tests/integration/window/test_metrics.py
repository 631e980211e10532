"""Metrics of a served home: off unless configured, for those who may read them, and every documented one is there."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bot.metrics.catalogue import CATALOGUE
from bot.metrics.file import MetricsFile, metrics_document
from bot.metrics.settings import MetricsSettings
from core.model.metric import MetricSample
from core.services.insight import Insight
from tests.homes import CliHome
from tests.window import open_window

pytestmark = [pytest.mark.window, pytest.mark.xdist_group("window")]
TOKEN = "a-token-of-metrics-0123456789"
PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"


def documented() -> dict[str, tuple[str, str]]:
    """The table of the documentation: labels and meaning of each metric."""
    rows = re.findall(r"^\| `(countersign_\w+)` \| ([^|]*)\| ([^|]+) \|$", PAGE.read_text(), re.MULTILINE)
    return {name: (labels.strip(), meaning.strip()) for name, labels, meaning in rows}


def values(text: str, metric: str) -> dict[str, float]:
    """The samples of a metric in a scrape, by their labels."""
    rows = re.findall(rf"^{metric}(?:{{(.*)}})? (\S+)$", text, re.MULTILINE)
    return {labels: float(value) for labels, value in rows}


def configure(home: CliHome, section: str) -> None:
    """Add a section to the configuration."""
    config = home.root / "countersign.yaml"
    config.write_text(config.read_text() + f"\n{section}\n")


async def test_every_documented_metric_is_scraped_by_those_who_have_the_token(home_staged: CliHome) -> None:
    (home_staged.root / "metrics-token").write_text(TOKEN + "\n")
    configure(home_staged, "metrics: {token_file: metrics-token, file: true}")
    async with open_window(home_staged) as window:
        app = window.served.app
        counting = Insight(app.database, app.settings, recount_ms=0)
        while await counting.count_next():
            pass
        visit = window.visit()
        for given in ({}, {"authorization": f"Bearer {TOKEN}x"}, {"authorization": TOKEN}):
            refused = await visit.client.get("/metrics", headers=given)
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
            assert "countersign_" not in refused.text
        scrape = await visit.client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
        text = scrape.text
        assert scrape.headers["content-type"].startswith("text/plain; version=0.0.4")
        for name, (_, meaning) in documented().items():
            assert f"# HELP {name} {meaning}\n# TYPE {name} gauge\n" in text
        assert values(text, "countersign_tasks")['state="staged"'] == 1
        assert values(text, "countersign_workers") == {"": 1}
        assert values(text, "countersign_queue_paused") == {"": 0}
        assert values(text, "countersign_today_tasks")['event="task.staged"'] == 1
        assert 'lane="config",quantile="0.95"' in values(text, "countersign_today_run_seconds")
        assert values(text, "process_resident_memory_bytes")[""] > 0
        for secret in ("ana", "lee", "app.yaml", str(home_staged.root)):
            assert secret not in text
        await window.served.until((app.home.state / "metrics.json").exists, "state/metrics.json")
        document = json.loads((app.home.state / "metrics.json").read_text())
        assert {"labels": {"state": "staged"}, "value": 1} in document["metrics"]["countersign_tasks"]


async def test_without_a_token_only_programs_on_this_host_read_metrics_and_not_through_a_proxy(
    home_staged: CliHome,
) -> None:
    configure(home_staged, "metrics: {}\nweb: {url: https://countersign.example.org}")
    async with open_window(home_staged) as window:
        client = window.visit().client
        assert (await client.get("/metrics")).status_code == 200
        for name, value in (
            ("host", "countersign.example.org"),
            ("x-forwarded-for", "10.0.0.9"),
            ("host", "evil.example"),
        ):
            refused = await client.get("/metrics", headers={name: value})
            assert refused.status_code == 403
            assert "countersign_" not in refused.text


def test_a_token_that_is_missing_or_can_be_guessed_stops_serve_with_a_sentence(home: CliHome) -> None:
    configure(home, "metrics: {token_file: missing}")
    problem = home.call("serve", "--port", "0")
    assert problem.code == 2
    assert "missing cannot be read" in problem.err
    (home.root / "missing").write_text("short")
    assert "can be guessed" in home.call("serve", "--port", "0").err


def test_the_documentation_has_the_table_of_all_metrics() -> None:
    assert documented() == {each.full_name: (", ".join(each.labels), each.help) for each in CATALOGUE}
    labels = {label for each in CATALOGUE for label in each.labels}
    assert labels <= {"state", "endpoint", "node", "gpu", "event", "code", "lane", "quantile", "objective", "kind"}


async def test_the_file_is_replaced_as_a_whole_and_a_full_disk_is_only_logged(tmp_path: Path) -> None:
    async def read() -> list[MetricSample]:
        return [MetricSample("tasks", ("staged",), 2)]

    def wanted() -> MetricsSettings:
        return MetricsSettings(writes_file=True)

    file = MetricsFile(tmp_path / "metrics.json", wanted, read)
    await file.write()
    found: dict[str, Any] = json.loads(await asyncio.to_thread(file.path.read_text))
    assert found["metrics"] == metrics_document(await read(), datetime.now(UTC))["metrics"]
    assert [each.name for each in tmp_path.iterdir()] == ["metrics.json"]
    await MetricsFile(tmp_path / "gone" / "metrics.json", wanted, read).write()
