"""objectives.yaml: what it may say, and the sentence for what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.alerts.objectives_file import ObjectivesFile, load_objectives, objectives_of
from core.model.errors import ConfigError
from core.model.objective import Objective, Subject

WRONG = {
    "{subject: wait, share: 0.9}": "does not fit its subject",
    "{subject: success, share: 0.9, within: 1s}": "does not fit its subject",
    "{subject: success, share: 1.0}": "share",
    "{subject: wait, share: 0.9, within: soon}": "'soon' is not a time",
    "{subject: wait, share: 0.9, within: 0s}": "'0s' is not a time",
    "{subject: wait, share: 0.9, within: 1s, window: 91d}": "too short or too long",
    "{subject: wait, share: 0.9, within: 1s, window: 59m}": "too short or too long",
    "{subject: run, share: 0.9, within: 1s, surfaces: slack}": "Only wait is counted by surface",
    "{subject: wait, share: 0.9, within: 1s, surfaces: slack, lanes: docs}": "Only wait is counted by surface",
    "{subject: decision, share: 0.9, within: 1s, lanes: docs}": "Only wait and run are counted by lane",
    "{subject: wait, share: 0.9, within: 1s, endpoint: gpu1}": "Write `subject: endpoint`",
    "{subject: happiness, share: 0.9}": "subject",
}


def test_an_objective_that_says_nothing_clear_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "objectives.yaml"
    for text, reason in WRONG.items():
        file.write_text(f"version: 1\nobjectives:\n  one: {text}\n")
        with pytest.raises(ConfigError) as caught:
            load_objectives(file)
        assert "objectives.yaml:3" in str(caught.value), text
        assert reason in caught.value.problem.sentence(), text


def test_lanes_surfaces_and_times_are_read_and_a_home_without_the_file_has_none(tmp_path: Path) -> None:
    read = objectives_of(tmp_path)
    assert read() == ObjectivesFile()
    chat = "{subject: wait, surfaces: [slack, telegram], within: 60s, share: 0.95, window: 12h}"
    (tmp_path / "objectives.yaml").write_text(f"version: 1\nobjectives:\n  chat: {chat}\n")
    expected = Objective("chat", Subject.WAIT, 0.95, 12 * 3600, 60, frozenset({"slack", "telegram"}), by_surface=True)
    assert read().objectives == (expected,)
