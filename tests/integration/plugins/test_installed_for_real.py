"""The example distribution, installed by pip and used by the real console script, from a request to a pull request."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.homes import CliHome
from tests.integration.plugins.installed import EXAMPLE, enable, pip_install

pytestmark = pytest.mark.lanes
T = TypeVar("T")
LONG_S = 60.0


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pip_install(EXAMPLE, tmp_path_factory.mktemp("site"))


@pytest.fixture
def environment(example: Path, tmp_path: Path) -> dict[str, str]:
    return {"PYTHONPATH": str(example), "EXAMPLE_MARK": str(tmp_path / "mark")}


@contextmanager
def serving(home: CliHome, environment: dict[str, str]) -> Iterator[None]:
    server = home.start("serve", environment=environment)
    assert server.stderr is not None
    try:
        first = server.stderr.readline()
        assert first.startswith(b"countersign: serving "), first + server.stderr.read()
        yield
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            server.kill()
            raise


def until(look: Callable[[], T | None]) -> T:
    begun = time.monotonic()
    while (found := look()) is None:
        assert time.monotonic() - begun < LONG_S
        time.sleep(0.05)
    return found


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def shouting(home: CliHome, checks: str = "") -> None:
    home.scripted("pass", name="loud", write='["*.md"]')
    lane = "name: loud\ndescribe: capitals\nwrite: ['*.md']\nexecutor: shout\n" + checks
    (home.root / "lanes" / "loud.yaml").write_text(lane)


def test_installed_alone_it_is_listed_and_nothing_of_it_is_imported(home, environment):
    listed = home.run("plugins", "list", "--json", environment=environment).json()["plugins"]
    ours = [row for row in listed if row["distribution"] == "countersign-example"]
    assert {(row["kind"], row["name"]) for row in ours} == {
        ("executors", "shout"),
        ("guards", "no-shouting"),
        ("checks", "ends-with-newline"),
        ("notifiers", "diary"),
        ("surfaces", "bulletin"),
        ("forges", "binder"),
        ("forges", "ledger"),
    }
    assert {(row["version"], row["installed"], row["enabled"]) for row in ours} == {("1.0.0", True, False)}
    asked = home.run(
        *("ask", "set server.timeout to 30 in config/app.yaml", "--as", "ana", "--wait", "--json"),
        environment=environment,
    )
    assert asked.json()["state"] == "staged"
    assert not Path(environment["EXAMPLE_MARK"]).exists()


@pytest.mark.sandbox
def test_from_a_request_to_a_pull_request_with_executor_guard_check_and_notifier(
    home, example, environment, monkeypatch
):
    monkeypatch.syspath_prepend(str(example))  # for the commands in this process; the server finds it by itself
    shouting(home, "checks: [{use: ends-with-newline, required: true}]\n")
    enable(
        home.root,
        "  executors: {shout: {loudness: 3}}\n  guards: {no-shouting: {quiet: [README.md], hush: PSST}}\n"
        "  checks: {ends-with-newline: {}}\n  notifiers: {diary: {}}",
    )
    lane = home.root / "lanes" / "loud.yaml"
    checked = home.document("lane", "check", str(lane))
    assert [row["name"] for row in checked["lanes"]] == ["loud"], "a lane is judged with the checks that plugins share"
    diary = home.root / "state" / "plugins" / "notifiers-diary" / "diary.jsonl"

    def run(*words: object) -> dict[str, Any]:
        document: dict[str, Any] = home.call(*words, "--json").json()
        return document

    with serving(home, environment):
        staged = run("ask", "shout CHANGELOG.md", "--lane", "loud", "--repo", "web", "--as", "ana", "--wait")
        assert staged["state"] == "staged", staged
        (check,) = staged["making"]["checks"]
        assert (check["name"], check["passed"], check["required"]) == ("ends-with-newline", True, True)
        assert {"check": "no-shouting/loud", "verdict": "pass", "detail": "nobody shouts", "path": None} in staged[
            "staged"
        ]["guard"]
        digest = staged["staged"]["digest"]
        published = run("approve", staged["number"], digest, "--as", "lee", "--wait")
        assert published["state"] == "published", published
        branch = published["pull_request"]["branch"]
        assert home.git("show", f"{branch}:CHANGELOG.md").endswith("- FIRST!!!")

        blocked = run("ask", "shout README.md", "--lane", "loud", "--repo", "web", "--as", "ana", "--wait")
        findings = [found for found in blocked["staged"]["guard"] if found["verdict"] == "block"]
        assert [(found["check"], found["path"]) for found in findings] == [("no-shouting/loud", "README.md")]
        assert blocked["state"] == "refused"

        told = until(
            lambda: [e for e in lines_of(diary) if e["event"]["kind"] == "task.published"] or None,
        )
        assert told[0]["task"]["number"] == staged["number"]
        assert "title" not in told[0]["task"]
        assert len({event["delivery"] for event in lines_of(diary)}) == len(lines_of(diary))


def test_from_a_chat_to_a_pull_request_with_surface_and_forge(home, environment, tmp_path):
    board, pages = tmp_path / "board", tmp_path / "pages"
    enable(home.root, f"  surfaces: {{bulletin: {{folder: {board}}}}}\n  forges: {{binder: {{folder: {pages}}}}}")
    config = home.root / "countersign.yaml"
    text = config.read_text().replace("forge: local", "forge: binder")
    for person, role in (("ana", "member"), ("lee", "maintainer")):
        said = f'"{person}": {{roles: [{role}]'
        assert said in text
        text = text.replace(said, f"{said}, identities: {{bulletin: {person}-id}}")
    config.write_text(text)

    def says(name: str, **said: str) -> None:
        new = board / "in" / f"{name}.new"
        new.write_text(json.dumps(said))
        new.replace(new.with_suffix(".json"))

    def card(state: str) -> dict[str, Any] | None:
        shown = [json.loads(file.read_text()) for file in (board / "out").glob("*.json")]
        return next((one for one in shown if one.get("state") == state), None)

    def approvable() -> dict[str, Any] | None:
        found = card("staged")
        return found if found and any(label.startswith("Approve") for label in found["buttons"]) else None

    with serving(home, environment):
        until(lambda: (board / "in").is_dir() or None)
        says("m1", who="ana-id", text="set server.timeout to 30 in config/app.yaml")
        asked = until(approvable)
        (button,) = [id_ for label, id_ in asked["buttons"].items() if label.startswith("Approve")]
        says("c1", who="lee-id", button=button, on=asked["id"])
        until(lambda: card("published"))
    (page,) = pages.glob("web-*.json")
    kept = json.loads(page.read_text())
    assert kept["state"] == "open"
    assert home.git("rev-parse", kept["branch"]) == kept["head"]
    rows = home.run("doctor", "--json", environment=environment).json()["checks"]
    shown = {row["name"]: row["verdict"] for row in rows if "bulletin" in row["name"] or "binder" in row["name"]}
    assert shown == {"plugin surfaces/bulletin": "ok", "plugin forges/binder": "ok", "bulletin": "ok"}


def test_a_forge_where_others_act_is_followed_from_its_opening_to_its_merge(home, example, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(example))
    pages = tmp_path / "pages"
    enable(home.root, f"  forges: {{ledger: {{folder: {pages}}}}}")
    config = home.root / "countersign.yaml"
    config.write_text(config.read_text().replace("forge: local", "forge: ledger"))
    published = home.published()
    number, opened = published["number"], published["pull_request"]
    page = pages / f"web-{number}.json"

    def there(**said: object) -> dict[str, Any]:
        """Others write onto the page; then someone looks."""
        page.write_text(json.dumps({**json.loads(page.read_text()), **said}))
        home.hurry()
        assert home.call("worker", "--drain").code == 0
        shown: dict[str, Any] = home.document("show", number)
        return shown

    assert (opened["state"], opened["followed"]) == ("open", True)
    beside = Path(opened["files"].removeprefix("file://"))
    assert (beside / "change.patch").read_bytes().startswith(b"diff --git")

    looked = there(found={"tests": "success", "lint": None}, objections=["kim"])
    assert looked["state"] == "published"
    assert looked["pull_request"]["checks"] == "1 of 2 checks green; changes asked for by kim"
    mark = (pages / f"mark-{opened['head']}.txt").read_text()
    assert mark.startswith(f"success: #{number}.1 {published['staged']['digest'][:20]} countersigned by lee")

    foreign = home.commit({"README.md": "# Other\n"}, "not ours")
    home.git("update-ref", f"refs/heads/{opened['branch']}", foreign)
    moved = there()
    assert (moved["error"]["code"], moved["state"]) == ("head_moved", "published")
    assert "were not countersigned" in (pages / f"mark-{foreign}.txt").read_text()
    home.git("update-ref", f"refs/heads/{opened['branch']}", opened["head"])
    assert there(found={"tests": "success"}, objections=[])["error"] is None

    home.git("update-ref", "refs/heads/main", opened["head"])
    merged = there(state="merged", merged_as=opened["head"], by="kim")
    assert (merged["state"], merged["pull_request"]["state"], merged["error"]) == ("merged", "merged", None)
    events = [json.loads(line) for line in home.call("events", "--task", number, "--json").out.splitlines()]
    assert [event["body"]["by"] for event in events if event["kind"] == "task.merged"] == ["kim"]
    assert {"task.published", "task.followed"} <= {event["kind"] for event in events}
    assert home.call("verify", number).code == 0
