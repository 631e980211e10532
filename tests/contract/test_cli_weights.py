"""Weights and forecasts on the command line: documents, words, exit codes."""

from __future__ import annotations

import json

import pytest

from tests.homes import CliHome

pytestmark = pytest.mark.queue


def test_weights_are_shown_tried_adopted_and_reverted(home: CliHome, tmp_path):
    file = tmp_path / "weights.json"
    file.write_text('{"chat": 3.0}')
    assert home.run("weights", "show").out.startswith("The queue uses the usual weights.")
    assert home.run("weights", "adopt").code == 5
    tried = home.run("weights", "try", str(file))
    assert (tried.code, "tried in the shadow" in tried.out) == (0, True)
    shown = home.run("weights", "show").out
    assert "Tried in the shadow chat 3 (usually 2)." in shown
    assert "They are not known to be better yet." in shown
    refused = home.run("weights", "adopt")
    assert (refused.code, "50 are needed" in refused.err) == (5, True)
    assert home.run("weights", "adopt", "--anyway").code == 0
    document = json.loads(home.run("weights", "show", "--json").out)
    assert (document["current"]["chat"], document["previous"]["chat"], document["version"]) == (3.0, 2.0, 1)
    assert home.run("weights", "revert").out == "The queue uses the weights from before again.\n"
    assert home.run("weights", "revert").code == 5


def test_weights_that_are_none_are_refused(home: CliHome, tmp_path):
    file = tmp_path / "weights.json"
    file.write_text('{"chat": -1}')
    refused = home.run("weights", "try", str(file))
    assert (refused.code, "weights are 0 or more" in refused.err) == (2, True)
    assert home.run("weights", "try", str(tmp_path / "none.json")).code == 2


def test_forecasts_are_compared_side_by_side(tmp_path):
    nowhere = CliHome(tmp_path)
    document = json.loads(nowhere.run("sim", "forecast", "--workload", "bursty", "--requests", "2000", "--json").out)
    errors = document["forecasts"][0]["mean_absolute_error"]
    assert set(errors) == {"naive", "seasonal_mean", "fading", "ridge"}
    assert "ridge" in nowhere.run("sim", "forecast", "--workload", "bursty", "--requests", "2000").out
    trace = tmp_path / "trace.csv"
    trace.write_text("arrival_s,model,prompt_tokens,output_tokens\n0,m,1,1\n60,m,1,1\n")
    refused = nowhere.run("sim", "forecast", "--trace", str(trace))
    assert (refused.code, "too few to forecast from" in refused.err) == (2, True)
