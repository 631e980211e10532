"""The bench of acknowledgements runs, and names a figure that is over its limit."""

from __future__ import annotations

import json

import pytest

from tests.bench import slack_ack

pytestmark = pytest.mark.surfaces


def test_the_bench_writes_flat_figures_and_what_failed(tmp_path, capsys):
    out = tmp_path / "bench" / "slack-ack.json"
    slack_ack.main(rounds=1, clicks=5, out=out)  # how quick it is depends on what else the machine does
    figures = json.loads(out.read_text(encoding="utf-8"))
    assert [line.split()[0] for line in figures.pop("failed")] == [
        name for name, limit in slack_ack.LIMITS.items() if figures[name] > limit
    ]
    assert set(slack_ack.LIMITS) <= set(figures)
    assert "bolt" in capsys.readouterr().out


def test_a_figure_over_its_limit_is_named():
    assert slack_ack.missed(dict.fromkeys(slack_ack.LIMITS, 0.1)) == []
    (told,) = slack_ack.missed({**dict.fromkeys(slack_ack.LIMITS, 0.1), "click_p50_ratio": 1.1})
    assert told == "click_p50_ratio is 1.1, over 1.0"
