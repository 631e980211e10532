"""The documentation stands for the code: its links, commands, examples and words are held against what runs."""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from bot.alerts.objectives_file import ObjectivesFile, load_objectives
from bot.cli.commands import countersign
from bot.cli.lifecycle_page import lifecycle_page
from bot.configuration.config import load_config
from bot.identity_providers.settings import secret_variable
from bot.interpret.grammar import parse
from core.model.errors import Kind, UsageError
from core.model.turn import SURFACES
from lanes.models.endpoint import key_variable
from lanes.registry import load_lane
from policies.cases import check_cases
from policies.load import parse_rules
from policies.policy import check_lane
from policies.rules import BUILT_IN_ROLES, NameList
from tests.unit.policies.cases import version

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = (*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md")))
PROGRAMS = ("bot", "core", "lanes", "policies")
NAMES = NameList(
    people=frozenset({"ana", "lee"}),
    roles=BUILT_IN_ROLES | {"contractor"},
    lanes=frozenset({"docs", "config", "code", "scripted"}),
    repositories=frozenset({"web", "infra"}),
    surfaces=frozenset(SURFACES),
)
"""The home that the examples are written for."""

NOT_USED = frozenset({"manager", "helper", "util", "handler", "processor", "data", "info"})
"""Words that say nothing about what a thing is for."""

EXPLAINED = (
    "surface", "turn", "actor", "person", "intent", "task", "revision", "lane", "executor", "rule", "decision",
    "guard", "report", "staged diff", "digest", "approval", "receipt", "publish", "forge", "job", "attempt", "claim",
    "heartbeat", "rescue", "fence", "node", "artifact", "worker", "milestone", "basis",
    "approval requirements", "policy request", "event", "engine", "reconciler", "home",
)  # fmt: skip
"""Words that a reader of the code meets, and so must find in the glossary."""

_FENCE = re.compile(r"^```(?P<kind>[^\n]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
_SPAN = re.compile(r"`(?P<text>[^`\n]+)`")
_OURS = re.compile(r"(?:bot|core|lanes|policies|migrations|tests|deploy|docs|requirements)/[\w./-]*\w")
_TITLED = re.compile(r'yaml title="(?P<name>[^"]+)"')


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: Path
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}: {self.kind}: {self.text[:40]}"


def prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def blocks(page: Path) -> list[Block]:
    found = _FENCE.finditer(page.read_text(encoding="utf-8"))
    return [Block(page, match["kind"].strip(), match["text"]) for match in found]


def headings(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def methods(path: Path) -> Iterator[tuple[str, str]]:
    for owner in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(owner, ast.ClassDef):
            inside = (node for node in owner.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
            yield from ((owner.name, node.name) for node in inside)


def name_of(page: object) -> str:
    return str(page.relative_to(ROOT)) if isinstance(page, Path) else str(page)


# ---------------------------------------------------------------------------------------------------- links


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_leads_somewhere(page):
    for match in _LINK.finditer(prose(page)):
        target, _, anchor = match["target"].partition("#")
        if "://" in match["target"]:
            continue
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), match["target"]
        assert there.is_relative_to(ROOT), match["target"]
        if anchor:
            assert anchor in headings(there), match["target"]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_path_of_ours_in_the_text_is_there(page):
    for match in _SPAN.finditer(prose(page)):
        if path := _OURS.fullmatch(match["text"]):
            assert (ROOT / path.group()).exists(), path.group()


def test_every_method_that_the_architecture_names_is_there():
    known = {
        f"{owner}.{name}" for part in PROGRAMS for path in (ROOT / part).rglob("*.py") for owner, name in methods(path)
    }
    named = re.findall(r"\b[A-Z][a-z]\w+\.[a-z_]\w+\b", (DOCS / "architecture.md").read_text(encoding="utf-8"))
    assert len(named) > 5
    assert set(named) <= known


@pytest.mark.parametrize("folder", [DOCS, DOCS / "decisions"], ids=name_of)
def test_each_index_lists_every_page_beside_it(folder):
    listed = _LINK.findall((folder / "README.md").read_text(encoding="utf-8"))
    assert {page.name for page in folder.glob("*.md")} - {"README.md"} <= set(listed)


def test_the_site_has_every_page_in_its_navigation_once():
    config = (ROOT / "deploy" / "site" / "mkdocs.yml").read_text(encoding="utf-8")
    listed = re.findall(r"^ +- [^:\n]+: (\S+\.md)$", config.partition("\nnav:\n")[2], re.MULTILINE)
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md") if "plugin-template" not in page.parts}
    assert sorted(listed) == sorted(page for page in pages if not page.startswith("decisions/0"))


def test_a_page_of_the_site_keeps_links_that_it_has_and_names_other_files(tmp_path, caplog):
    spec = importlib.util.spec_from_file_location("outside_links", ROOT / "deploy" / "site" / "outside_links.py")
    assert spec is not None
    assert spec.loader is not None
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    page = SimpleNamespace(file=SimpleNamespace(abs_src_path=str(DOCS / "api.md"), src_uri="api.md"))

    def shown(text: str) -> str:
        return str(hook.on_page_markdown(text, page=page, config={"docs_dir": str(DOCS)}))

    kept = "[a](window.md#x), [b](https://example.com/a), ![c](images/task.png), [d](gone.md)"
    assert shown(kept) == kept, "MkDocs itself fails for those that lead nowhere"
    assert shown("[bot/cli](../bot/cli/__init__.py#L1) and [the README](../README.md)") == "`bot/cli` and the README"
    assert caplog.messages == []
    shown("[x](../bot/gone.py)")
    assert caplog.messages == ["api.md links to ../bot/gone.py, which does not exist"]


def test_every_decision_has_its_number_and_the_four_parts():
    records = sorted((DOCS / "decisions").glob("[0-9]*.md"))
    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    for record in records:
        text = record.read_text(encoding="utf-8")
        assert text.startswith(f"# {record.name[:4]}: ")
        assert re.findall(r"^## (\w+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences", "Alternatives"]


def test_the_page_of_the_lifecycle_is_the_one_that_the_command_prints():
    assert (DOCS / "lifecycle.md").read_text(encoding="utf-8") == lifecycle_page(), "run `make docs`"


def test_the_readme_keeps_room_for_the_demo():
    begin, end = "<!-- demo:begin -->", "<!-- demo:end -->"
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.count(begin) == text.count(end) == 1
    assert text.index(begin) < text.index(end)


# ------------------------------------------------------------------------------------------------- examples


WHOLE = [block for page in PAGES for block in blocks(page) if block.kind.startswith("yaml")]


@pytest.mark.parametrize("block", WHOLE, ids=str)
def test_every_configuration_that_is_shown_loads(block, tmp_path):
    titled = _TITLED.fullmatch(block.kind)
    assert titled, 'say which file it is: ```yaml title="policy.yaml"'
    path = tmp_path / titled["name"]
    path.parent.mkdir(exist_ok=True)
    path.write_text(block.text, encoding="utf-8")
    if path.parent.name == "lanes":
        check_lane(load_lane(path))
    elif path.name == "policy_tests.yaml":
        assert check_cases(path.read_bytes(), path, version()).has_passed
    elif path.name == "policy.yaml":
        assert parse_rules(path.read_bytes(), path, NAMES).rules
    elif path.name == "objectives.yaml":
        assert load_objectives(path) != ObjectivesFile()
    else:
        assert path.name == "countersign.yaml"
        assert load_config(path).people.by_name


def test_every_phrase_that_is_shown_is_understood():
    phrases = [line for b in blocks(DOCS / "lanes.md") if b.kind == "text" for line in b.text.splitlines()]
    assert len(phrases) > 10
    not_understood = [phrase for phrase in phrases if not isinstance(parse(phrase), tuple)]
    assert not not_understood


# ------------------------------------------------------------------------------------------------- commands


def shown_commands(page: Path) -> Iterator[tuple[str, bool]]:
    """Every `countersign …` of a page, and whether it stands there to be typed as it is."""
    for block in blocks(page):
        lines = block.text.splitlines() if block.kind in {"sh", "console"} else []
        yield from ((line, True) for line in map(typed, lines) if line)
    for line in re.findall(r"^ {4}(\S.*)$", prose(page), re.MULTILINE):
        if command := typed(line):
            yield command, True
    yield from ((match["text"], False) for match in _SPAN.finditer(prose(page)) if typed(match["text"]))


def typed(line: str) -> str:
    """The command line in a line of a shell, without prompt, program path and comment; empty for another program's."""
    words = line.removeprefix("$ ")
    program = words.split(" ", 1)[0]
    return words if program.rpartition("/")[2] == "countersign" else ""


def read_by_click(line: str, *, whole: bool) -> None:
    """Parse a command line without running anything; raises click's error for what is not there."""
    argv = ["1" if word in {"N", "142"} else word for word in shlex.split(line, comments=True)[1:]]
    command: click.Command = countersign
    context = click.Context(command, info_name="countersign")
    while isinstance(command, click.Group):
        options, argv, _ = command.make_parser(context).parse_args(argv)
        if not argv:
            assert options or not whole, line
            return
        name, found, argv = command.resolve_command(context, argv)
        assert found is not None, line
        command = found
        context = click.Context(command, info_name=name, parent=context)
    try:
        command.make_context(context.info_name, argv, parent=context.parent)
    except click.MissingParameter:
        if whole:
            raise
    except click.BadParameter as error:
        if not isinstance(getattr(error.param, "type", None), click.Path):  # the example's file need not be here
            raise


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_that_is_shown_exists_with_its_options(page):
    for line, whole in shown_commands(page):
        try:
            read_by_click(line, whole=whole)
        except click.ClickException as error:
            pytest.fail(f"{line}: {error.format_message()}")


def test_every_request_that_is_shown_is_understood():
    asked = [shlex.split(line) for page in PAGES for line, whole in shown_commands(page) if whole]
    texts = [words[2] for words in asked if words[1:2] == ["ask"] and "--lane" not in words]
    assert texts
    assert not [text for text in texts if not isinstance(parse(text), tuple)]


def test_every_exit_code_is_explained():
    page = (DOCS / "operating.md").read_text(encoding="utf-8")
    explained = {int(code) for code in re.findall(r"^\| (\d) \|", page, re.MULTILINE)}
    assert explained == {0, *(kind.exit_code for kind in Kind)}


def test_the_variables_that_are_read_are_the_ones_explained():
    sources = [path.read_text(encoding="utf-8") for part in PROGRAMS for path in (ROOT / part).rglob("*.py")]
    reads = re.compile(r'(?:environ(?:\.get)?|secret|lookup)[([]"(COUNTERSIGN_\w+)"')
    read = {name for text in sources for name in reads.findall(text)} | {key_variable("name"), secret_variable("name")}
    explained = re.findall(r"^\| `(COUNTERSIGN_\w+)` \|", (DOCS / "operating.md").read_text("utf-8"), re.MULTILINE)
    example = re.findall(r"^#? ?(COUNTERSIGN_\w+)=", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE)
    assert sorted(explained) == sorted(example) == sorted(read)


# ---------------------------------------------------------------------------------------------------- words


def test_every_word_of_the_glossary_has_one_home():
    rows = re.findall(r"^\| (.+) \| (.+) \| (.+) \|$", (DOCS / "glossary.md").read_text("utf-8"), re.MULTILINE)
    rows = [row for row in rows if row[0] not in {"word", "---"} and not row[0].startswith("-")]
    said = [word for word, _, _ in rows for word in word.split(", ")]
    assert len(said) == len(set(said))
    assert not [word for word in EXPLAINED if word not in {re.sub(r" \(.*\)$", "", plain) for plain in said}]
    for word, meaning, home in rows:
        assert meaning, word
        assert len(_LINK.findall(home)) == 1, word


OF_OTHERS = frozenset({"data_received", "get_route_handler"})
"""Names that a library calls: asyncio's, of what a connection is told, and FastAPI's, of what answers a route."""


def words_of(name: str) -> set[str]:
    """The words in a name, in the singular."""
    found = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    return {word.lower().removesuffix("s") if word.lower() not in NOT_USED else word.lower() for word in found}


def names_in(path: Path) -> Iterator[str]:
    yield path.stem
    yield from path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name


def test_no_module_class_or_function_has_a_name_that_says_nothing():
    sources = [path for part in PROGRAMS for path in (ROOT / part).rglob("*.py")]
    assert len(sources) > 50
    named = [(path, name) for path in sources for name in names_in(path) if name not in OF_OTHERS]
    assert not [f"{path}: {name}" for path, name in named if words_of(name) & NOT_USED]


def test_the_documentation_keeps_to_the_same_words():
    for page in PAGES:
        plain = re.sub(r"`[^`\n]*`", "", prose(page)).lower()
        assert not NOT_USED & set(re.findall(r"[a-z]+", plain)), page


def _defaults(page: str) -> dict[str, str]:
    """The defaults that a page gives in brackets behind a key, as in ``| `wall_s` (300) |``."""
    rows = re.findall(r"^\| `(\w+)` \(([^)]+)\) \|", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE)
    return dict(rows)


def test_lanes_14_the_defaults_of_an_endpoint_are_those_of_the_code():
    from dataclasses import fields

    from lanes.models import Endpoint

    told = _defaults("models.md")
    assert told.keys() >= {"first_token_s", "between_tokens_s", "total_s", "context_tokens", "keep_alive"}
    known = {field.name: field.default for field in fields(Endpoint)}
    for name, text in told.items():
        default = known[name]
        assert text == (default if isinstance(default, str) else f"{default:g}"), name


def test_lanes_14_the_defaults_of_limits_and_budgets_are_those_of_the_code():
    from core.model.budget import Budget
    from core.model.lane import MIB, Lane, Limits

    page = (DOCS / "lanes.md").read_text(encoding="utf-8")
    for values in (Limits(), Budget()):
        for name in values.__slots__:
            row = re.search(rf"^\| [^|]*`{name}`[^|]*\|[^|]*\| ([^|]+) \|$", page, re.MULTILINE)
            assert row is not None, name
            default = getattr(values, name)
            shown = {MIB: "1 MiB", 0: "no bound"}.get(default, f"{default:,}" if name == "tokens" else f"{default:g}")
            assert row[1].strip() == shown, name
    assert "| `retries` | how often a failing check goes back to the model or agent | 1 |" in page
    assert Lane("x", "x", (), "edit").retries == 1


def test_lanes_14_what_is_told_of_waiting_is_so():
    from core.model.circuit_breaker import BreakerThresholds
    from core.model.job import backoff_s
    from core.model.workflow import WorkflowStep
    from lanes.workflow.step import MAX_RETRY_WAIT_S

    models, workflows = ((DOCS / name).read_text(encoding="utf-8") for name in ("models.md", "workflows.md"))
    marks = BreakerThresholds()
    assert (marks.failures, marks.open_s, marks.max_open_s) == (3, 15, 300)
    assert "three failures in a row an endpoint is not asked for 15 s" in " ".join(models.split())
    assert "doubles that, up to 5 minutes" in " ".join(models.split())
    assert [round(backoff_s(n, 0.5)) for n in (1, 2, 3, 20)] == [2, 4, 8, 300]
    assert "else 2, 4, 8 s and so on, at most 5 minutes" in " ".join(models.split())
    assert f"asks for more than {MAX_RETRY_WAIT_S:g} s is left to the queue" in " ".join(workflows.split())
    assert _defaults("workflows.md") == {"retries": str(WorkflowStep("x", "edit").retries)}


def test_lanes_14_an_unknown_endpoint_ends_with_2_and_a_model_that_is_not_there_with_6():
    from lanes.models import Endpoint
    from lanes.models.faults import FaultOrigin, missing_model_error
    from lanes.models.registry import find_endpoint

    with pytest.raises(UsageError) as caught:
        find_endpoint({}, "nosuch")
    assert caught.value.problem.kind.exit_code == 2
    assert missing_model_error(FaultOrigin(Endpoint("local", "ollama", "http://x"), "m")).problem.kind.exit_code == 6
    assert "2 for an unknown endpoint, 6 for a model that is not there" in " ".join(
        (DOCS / "models.md").read_text().split()
    )
