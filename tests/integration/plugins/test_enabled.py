"""What comes of an enabled plugin: it is made once, checked against its port, and told from the ones that are ours."""

from __future__ import annotations

import importlib
import shutil
import zlib
from dataclasses import replace
from types import SimpleNamespace

import pytest

from bot.configuration.config import load_config
from bot.configuration.home import Home
from bot.configuration.live_settings import load_settings
from bot.plugins.load import Plugins
from bot.wiring.app import opened
from core.model.errors import ConfigError, PermanentError
from core.model.place import Place
from tests.integration.plugins.installed import enable, made_up

pytestmark = pytest.mark.lanes

EXECUTOR = """
class Made:
    name = "own"
    reads = False
    def unavailable(self, lane): return None
    def needs(self, lane): return frozenset()
    async def produce(self, order, repository): raise NotImplementedError
"""
MARK = "import os, pathlib\npathlib.Path(__file__).with_name('mark').touch()\n"


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return tmp_path / "site"


def plugins_of(home) -> Plugins:
    return Plugins(load_config(home.root / "countersign.yaml").plugins, home.root / "state")


def refused(home) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_config(home.root / "countersign.yaml")
    return caught.value


def broken(work) -> str:
    with pytest.raises(PermanentError) as caught:
        work()
    assert caught.value.problem.code == "plugin_broken"
    return str(caught.value)


# ------------------------------------------------------------------------------------------ in the configuration


def test_an_enabled_plugin_that_is_not_there_is_named_with_file_line_and_key(home, site):
    enable(home.root, "  executors:\n    nobody: {}")
    error = refused(home)
    assert error.key == "plugins.executors.nobody"
    assert error.line == len((home.root / "countersign.yaml").read_text().splitlines())
    assert "no installed distribution offers countersign.executors/nobody" in str(error)
    assert "pip install" in str(error)
    assert "delete the line" in str(error)


def test_two_distributions_that_offer_one_name_are_both_named(home, site):
    made_up(site, "maker-one", EXECUTOR, executors="twice = :Made")
    made_up(site, "maker-two", EXECUTOR, executors="twice = :Made")
    enable(home.root, "  executors: {twice: {}}")
    error = refused(home)
    assert error.key == "plugins.executors.twice"
    assert "maker-one 2.1 and maker-two 2.1" in str(error)


@pytest.mark.parametrize(("lines", "key"), [
    ("  surfaces: {telegram: {}}", "plugins.surfaces.telegram"),
    ("  forges: {local: {}}", "plugins.forges.local"),
    ("  guards: {'No Name': {}}", "plugins.guards.No Name"),
    ("  gaurds: {x: {}}", "plugins.gaurds"),
    ("  guards: {x: 3}", "plugins.guards.x"),
])  # fmt: skip
def test_names_of_our_own_and_words_that_are_no_names_are_refused(home, site, lines, key):
    enable(home.root, lines)
    assert refused(home).key == key


def test_a_forge_and_a_surface_may_be_named_while_they_are_enabled(home, site):
    made_up(site, "maker", EXECUTOR, forges="shelf = :Made", surfaces="wall = :Made")
    config = home.root / "countersign.yaml"
    plain = config.read_text().replace('"ana": {roles: [member]', '"ana": {roles: [member], identities: {wall: a1}')
    config.write_text(plain)
    assert refused(home).key == "people.ana.identities.wall"
    enable(home.root, "  surfaces: {wall: {}}")
    assert load_config(config).people.by_name["ana"].identities == {"wall": "a1"}
    assert "wall" in load_config(config).surface_names()
    config.write_text(config.read_text().replace("forge: local", "forge: shelf"))
    assert "'shelf' is not a forge" in str(refused(home))
    config.write_text(f"{config.read_text()}  forges: {{shelf: {{}}}}\n")
    assert load_config(config).repositories["web"].forge == "shelf"
    assert load_config(config).repositories["web"].id == "shelf:web"


def test_nothing_is_imported_before_it_is_needed_and_each_is_made_once(home, site):
    made_up(site, "maker", MARK + EXECUTOR + "calls = []\ndef make(context):\n    calls.append(1)\n    return Made()\n",
            executors="own = :make")  # fmt: skip
    enable(home.root, "  executors: {own: {deep: {list: [1, 2]}}}")
    plugins = plugins_of(home)
    assert not (site / "mark").exists()
    assert plugins.executors()["own"] is plugins.executors()["own"]
    assert importlib.import_module("maker").calls == [1]


# ----------------------------------------------------------------------------------------------- what is made


@pytest.mark.parametrize(("module", "said"), [
    ("def make(context): raise ValueError('no such thing')", "ValueError: no such thing"),
    ("raise SystemExit(3)", "SystemExit: 3"),
    ("import not_there_at_all", "ModuleNotFoundError"),
    ("from core.model.errors import UsageError\ndef make(context): raise UsageError('x', 'no address', 'Say one.')",
     "no address. Say one."),
    ("make = 3", "TypeError"),
    ("def make(context): return object()", "lacks `name`, `reads`, `unavailable`, `needs`, `produce`"),
    (EXECUTOR.replace("async ", "") + "def make(context): return Made()", "lacks `produce` as an async method"),
    (EXECUTOR.replace('"own"', '"edit"') + "def make(context): return Made()", "lacks a `name` that is 'own'"),
])  # fmt: skip
def test_a_factory_that_fails_is_told_with_its_distribution_and_the_mend(home, site, module, said):
    made_up(site, f"maker-{zlib.crc32(module.encode())}", module, executors="own = :make")
    enable(home.root, "  executors: {own: {}}")
    told = broken(plugins_of(home).executors)
    assert said in told
    assert "countersign.executors/own of maker-" in told
    assert "delete `own` below `plugins.executors` in countersign.yaml" in told
    row = next(row for row in home.document("doctor", code=1)["checks"] if row["name"] == "plugin executors/own")
    assert (row["verdict"], said.removesuffix(". Say one.") in row["detail"]) == ("fail", True)


def test_the_doctor_names_the_one_that_is_broken_and_looks_at_all_the_rest_without_it(home, site):
    fails = "def make(context): raise OSError('no address')\n"
    wall = "class Made:\n    async def judge(self, change, lane, terms, read): ...\n"
    made_up(site, "works", EXECUTOR + "def make(context): return Made()", executors="own = :make")
    made_up(site, "judges", wall + "def make(context): return Made()", guards="own = :make")
    broken = ("executors", "surfaces", "forges", "guards", "notifiers")
    made_up(site, "fails", fails, **dict.fromkeys(broken, "bad = :make"))
    enable(home.root, "\n".join(f"  {kind}: {{bad: {{}}}}" for kind in broken).replace(
        "executors: {", "executors: {own: {}, ").replace("guards: {", "guards: {own: {}, "))  # fmt: skip
    for name, executor in (("mine", "own"), ("theirs", "bad")):
        text = f"name: {name}\ndescribe: {name}\nwrite: ['*.md']\nexecutor: {executor}\n"
        (home.root / "lanes" / f"{name}.yaml").write_text(text)
    config = home.root / "countersign.yaml"
    config.write_text(config.read_text().replace("forge: local", "forge: bad"))
    rows = {row["name"]: row for row in home.document("doctor", code=1)["checks"]}
    failed = {name for name, row in rows.items() if row["verdict"] == "fail"}
    assert failed == {*(f"plugin {kind}/bad" for kind in broken), "repository web"}
    assert "countersign.forges/bad of fails 2.1 cannot be used: OSError: no address" in rows["repository web"]["detail"]
    names = ("plugin executors/own", "plugin guards/own", "lane mine", "lane docs")
    assert {rows[name]["verdict"] for name in names} == {"ok"}
    assert rows["lane theirs"]["detail"] == "its executor cannot be used: see plugin executors/bad"
    assert "delete `bad` below `plugins.executors`" in rows["lane theirs"]["mend"]


@pytest.mark.parametrize(("kind", "lacking"), [
    ("surfaces", "`run`, `routes`, `render`"), ("forges", "`push`, `open`, `poll`, `merge`, `close`"),
    ("guards", "`judge`"), ("notifiers", "`notify`"),
])  # fmt: skip
def test_every_kind_is_held_to_its_port(home, site, kind, lacking):
    made_up(
        site,
        f"empty-{kind}",
        "class Made:\n    name = 'own'\ndef make(context): return Made()",
        **{kind: "own = :make"},
    )
    enable(home.root, f"  {kind}: {{own: {{}}}}")
    (row,) = plugins_of(home).doctor_rows()
    assert row["verdict"] == "fail"
    assert f"lacks {lacking}" in row["detail"]


async def test_an_executor_may_not_have_the_name_of_one_of_ours(home, site):
    made_up(
        site,
        "shadow",
        EXECUTOR.replace('"own"', '"edit"') + "def make(context): return Made()",
        executors="edit = :make",
    )
    enable(home.root, "  executors: {edit: {}}")
    async with opened(Home(home.root)) as app:
        with pytest.raises(PermanentError, match="has the name of a built-in one"):
            app.executors()


def test_a_factory_is_told_its_name_settings_scratch_folder_and_sandbox(home, site):
    module = "def make(context):\n    Made.context = context\n    return Made()\n"
    made_up(site, "asker", EXECUTOR + module, executors="own = :make")
    enable(home.root, "  executors: {own: {loudness: 3}}")
    shutil.rmtree(home.root / "state")
    plugins = replace(plugins_of(home), sandbox=lambda kind: f"a {kind}")  # type: ignore[arg-type,return-value]
    context = plugins.executors()["own"].context  # type: ignore[attr-defined]
    assert (context.name, dict(context.settings)) == ("own", {"loudness": 3})
    with pytest.raises(TypeError):
        context.settings["loudness"] = 4
    assert context.sandbox("bwrap") == "a bwrap"
    assert not (home.root / "state").exists()
    assert context.scratch == home.root / "state" / "plugins" / "executors-own"
    assert {folder.stat().st_mode & 0o777 for folder in (context.scratch, home.root / "state")} == {0o700}


# --------------------------------------------------------------------------------------------- shared checks

CHECKED = "name: c\ndescribe: c\nwrite: ['*.md']\nexecutor: edit\nchecks: [{use: spelling%s}]\n"
CHECK = (
    "from core.model.lane import LaneCheck\ndef make(context): return LaneCheck('spelling', ('codespell', '.'), 30)\n"
)


def test_lanes_share_a_check_which_each_may_make_stricter(home, site):
    made_up(site, "speller", CHECK, checks="spelling = :make")
    enable(home.root, "  checks: {spelling: {}}")
    lane = home.root / "lanes" / "c.yaml"
    lane.write_text(CHECKED % "")
    (check,) = load_settings(Home(home.root)).lanes["c"].checks
    assert (check.name, check.command, check.wall_s, check.required) == ("spelling", ("codespell", "."), 30, False)
    lane.write_text(CHECKED % ", required: true, wall_s: 5")
    (check,) = load_settings(Home(home.root)).lanes["c"].checks
    assert (check.wall_s, check.required) == (5, True)


@pytest.mark.parametrize(("enabled", "more", "key", "said"), [
    (False, "", "checks[0].use", "no enabled plugin offers the check 'spelling'"),
    (True, ", name: other", "checks[0].name", "is defined by the check"),
    (True, ", command: [true-ish]", "checks[0].command", "is defined by the check"),
])  # fmt: skip
def test_a_check_that_cannot_be_used_is_named_in_the_lanes_file(home, site, enabled, more, key, said):
    made_up(site, "speller", CHECK, checks="spelling = :make")
    if enabled:
        enable(home.root, "  checks: {spelling: {}}")
    (home.root / "lanes" / "c.yaml").write_text(CHECKED % more)
    with pytest.raises(ConfigError, match=said) as caught:
        load_settings(Home(home.root))
    assert (caught.value.key, caught.value.line) == (key, 5)


def test_a_broken_check_is_told_by_the_lane_that_uses_it_and_by_the_doctor(home, site):
    made_up(site, "misspeller", "def make(context): return 'codespell'", checks="spelling = :make")
    enable(home.root, "  checks: {spelling: {}}")
    (home.root / "lanes" / "c.yaml").write_text(CHECKED % "")
    with pytest.raises(ConfigError, match=r"lacks the type core\.model\.lane\.LaneCheck"):
        load_settings(Home(home.root))
    names = {row["name"]: row["verdict"] for row in home.document("doctor", code=1)["checks"]}
    assert names["plugin checks/spelling"] == names["configuration"] == "fail"


# -------------------------------------------------------------------------------------- surfaces and forges


def test_a_surfaces_rooms_are_private_ones_unless_it_says_which_repositories_a_place_is_for(home, site):
    made_up(site, "waller", EXECUTOR, surfaces="wall = :Made")
    enable(home.root, "  surfaces: {wall: {}}")
    says = SimpleNamespace(repositories=lambda place: ("web",) if place.channel == "a" else ())
    ours = {"telegram": says, "wall": says}
    of = plugins_of(home).channel_scopes(lambda _place: ("ours",), ours)
    assert of(Place("wall", "a")) == ("web",)
    assert of(Place("wall", "b")) == ()
    assert of(Place("telegram", "a")) == ("ours",)
    silent = plugins_of(home).channel_scopes(lambda _place: (), {"wall": object()})
    assert silent(Place("wall", "a")) == ()


def test_a_forge_that_was_enabled_after_the_start_asks_for_a_restart(home):
    with pytest.raises(PermanentError, match="Restart Countersign"):
        plugins_of(home).credentials("later")
