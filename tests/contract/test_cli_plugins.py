"""The plugins of an environment on the command line: words, documents and exit codes; nothing of theirs is imported."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.plugins import KINDS
from tests.homes import CliHome
from tests.integration.plugins.installed import enable, made_up

MARK = "import pathlib\npathlib.Path(__file__).with_name('mark').touch()\n"
KEYS = {"kind", "name", "installed", "enabled", "distribution", "version", "problem"}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return tmp_path / "site"


def rows(home: CliHome, code: int = 0) -> list[dict[str, object]]:
    document = home.document("plugins", "list", code=code)
    assert set(document) == {"plugins", "note"}
    assert "Countersign's own rights" in document["note"]
    assert all(set(row) == KEYS for row in document["plugins"])
    found: list[dict[str, object]] = document["plugins"]
    return found


def test_where_nothing_is_installed_the_list_is_empty_and_says_so(home):
    assert rows(home) == []
    assert home.run("plugins", "list").out.startswith("No plugins are installed.")


def test_every_kind_is_listed_enabled_or_not_and_nothing_is_imported(home, site):
    made_up(site, "all-of-them", MARK, **dict.fromkeys(KINDS, "one = :make"))
    enable(home.root, "  guards: {one: {}}")
    listed = rows(home)
    assert [row["kind"] for row in listed] == list(KINDS)
    assert {row["kind"] for row in listed if row["enabled"]} == {"guards"}
    assert {(row["distribution"], row["version"], row["problem"]) for row in listed} == {("all-of-them", "2.1", None)}
    said = home.call("plugins", "list")
    lines = [line.split() for line in said.out.splitlines()]
    assert ["one", "guards", "enabled", "all-of-them", "2.1"] in lines
    assert ["one", "forges", "not", "enabled", "all-of-them", "2.1"] in lines
    note = " ".join(said.out.split())
    assert "An enabled plugin runs with Countersign's own rights." in note
    assert "take effect at the next start" in note
    assert "\x1b" not in said.out
    assert not (site / "mark").exists()


def test_2_one_that_is_enabled_and_not_installed_is_listed_with_what_to_do(home):
    enable(home.root, "  notifiers: {gone: {}}")
    (row,) = rows(home, code=2)
    assert (row["name"], row["installed"], row["enabled"], row["version"]) == ("gone", False, True, None)
    said = home.call("plugins", "list")
    assert said.code == 2
    assert "no installed distribution offers countersign.notifiers/gone" in said.sentence()
    assert "not installed" in said.out


def test_2_one_that_two_distributions_offer_is_listed_twice_and_complained_about_once(home, site):
    for name in ("maker-a", "maker-b"):
        made_up(site, name, MARK, forges="twice = :make")
    assert [row["distribution"] for row in rows(home)] == ["maker-a", "maker-b"]
    enable(home.root, "  forges: {twice: {}}")
    assert [row["problem"] is not None for row in rows(home, code=2)] == [True, True]
    assert "is offered by maker-a 2.1 and maker-b 2.1" in home.call("plugins", "list").sentence()


def test_2_a_section_that_cannot_be_read_names_its_line(home):
    enable(home.root, "  guards: [no-shouting]")
    assert "plugins.guards: must be a mapping" in home.call("plugins", "list").sentence()


def test_the_list_is_there_while_the_rest_of_the_configuration_is_broken(home, site):
    made_up(site, "some", MARK, guards="one = :make")
    config = home.root / "countersign.yaml"
    config.write_text(config.read_text().replace("forge: local", "forge: nowhere"))
    assert [row["name"] for row in rows(home)] == ["one"]


@pytest.mark.parametrize("words", [("list",), ("worker", "--drain"), ("policy", "check")], ids=" ".join)
def test_2_no_command_goes_on_without_a_plugin_that_is_enabled(home, words):
    enable(home.root, "  executors:\n    shout: {loudness: 3}")
    said = home.call(*words)
    assert said.code == 2
    assert "plugins.executors.shout: no installed distribution offers countersign.executors/shout" in said.sentence()
    assert "countersign.yaml:" in said.sentence()


def test_1_a_worker_does_not_begin_without_a_plugin_that_is_broken_and_one_sentence_says_why(home, site):
    made_up(site, "never-works", "def make(context): raise OSError('no address')", guards="own = :make")
    enable(home.root, "  guards: {own: {}}")
    said = home.call("worker", "--drain")
    assert said.code == 1
    assert "countersign.guards/own of never-works 2.1 cannot be used: OSError: no address" in said.sentence()
    assert "delete `own` below `plugins.guards`" in said.sentence()
