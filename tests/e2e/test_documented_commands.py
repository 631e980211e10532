"""Each command that the README and the documentation show is executed, page by page, on a home like theirs.

A command that cannot be executed here stands in `NOT_EXECUTED` with the reason.
"""

from __future__ import annotations

import asyncio
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.configuration.home import Home
from bot.wiring.app import opened
from core.model.turn import Actor
from core.services.web_sessions import BrowserClient
from tests.homes import CliHome, Said, copy_home
from tests.unit.test_docs import DOCS, PAGES, blocks, name_of, shown_commands

pytestmark = [pytest.mark.xdist_group("documented")]

FILES = {
    "docs/old.md": "# Old\n",
    "requirements.txt": "ruff==0.13.0\nhttpx==0.27.0\n",
}
LINES = "arrival_s,model,prompt_tokens,output_tokens\n" + "".join(f"{30 * n},qwen3:8b,500,200\n" for n in range(60))
WRITTEN = {
    "history.csv": LINES,
    "models.csv": "name,size_gb,load_s\nqwen3:8b,6,10\ncoder:30b,20,30\n",
    "weights.json": '{"chat": 3.0}',
    "objectives.yaml": "version: 1\nobjectives: {work: {subject: success, share: 0.5, window: 7d}}\n",
}
"""Files that a reader of the page has from somewhere."""
NOT_EXECUTED = {
    r"(--home \S+ )?serve( .*)?": "runs until it is stopped: tests/e2e/test_first_run.py",
    r"queue --watch": "runs until it is stopped: tests/e2e/test_queue_watch.py",
    r"events .*-f.*": "runs until it is stopped: tests/e2e/test_observing.py",
    r"init --forge github .*": "needs a token of GitHub",
    r"--server .*": "needs a server at that address: tests/contract/test_cli_remote.py",
    r"mcp .*": "speaks MCP on standard input: tests/integration/mcp",
    r"(extend|reject) 12( .*)?": "needs a task whose budget is used up: tests/contract/test_cli_extend.py",
    r"verify 1 --passkey .*": "needs a person's passkey: tests/e2e/test_passkeys.py",
    r"verify receipt.json .*": "needs a person's passkey: tests/contract/test_cli_verify_file.py",
    r"sim (observe|calibrate|replay) .*": "needs the history of a queue with models: tests/contract/test_cli_sim.py",
    r"plugins list": "needs the plugin of the page: tests/contract/test_cli_plugins.py",
    r"--version": "is of another environment",
    r"weights adopt": "is refused until the queue has compared 50 answers: tests/contract/test_cli_weights.py",
    r"pick 1 .*--(hunk|file) .*": "names parts of another diff: tests/contract/test_cli_verify.py",
    r"audit export .*--check": "exits with 1, as this branch has commits of no task: tests/contract/test_cli_audit.py",
    r"weights revert": "has nothing to go back to: tests/contract/test_cli_weights.py",
}
TYPED = {"accounts add": "four words never together\n", "accounts set-password": "other words never together\n"}
"""What a person types at the terminal."""
FEWER = {"20000": "2000", "3000": "300", "1000": "300", "200": "2", "40": "2"}
"""Requests and evaluations of a simulation, fewer of which show the same in less time."""


def executed(page: Path) -> list[str]:
    """The whole command lines of a page, in order, without the program; the README's demo is tested by itself."""
    text = "".join(block.text for block in blocks(page) if block.kind == "console" and page.name == "README.md")
    demo = {line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ ")}
    lines = (line for line, whole in shown_commands(page) if whole and line not in demo)
    return [" ".join(shlex.quote(word) for word in shlex.split(line, comments=True)[1:]) for line in lines]


def reason_for_leaving_out(line: str) -> str | None:
    return next((why for pattern, why in NOT_EXECUTED.items() if re.fullmatch(pattern, line)), None)


@dataclass
class Reader:
    """Someone who types what a page shows, with the numbers, digests and names of their own home."""

    home: CliHome
    staged: list[int]
    published: list[int]
    waiting: list[int]
    merged: int

    def type(self, line: str) -> Said:
        """Run a command line of a page."""
        words = self.own(shlex.split(line))
        if words[0] in ("init", "restore"):  # which make a home
            return CliHome(self.home.folder / words[0]).call(*words)
        typed = TYPED.get(" ".join(words[:2]))
        return self.home.call(*words) if typed is None else self.home.run(*words, stdin=typed)

    def own(self, words: list[str]) -> list[str]:
        """The words of a command with what this home has in place of the example's."""
        match words:
            case ["approve", _number, _digest, *rest]:
                number = self.staged.pop()
                return ["approve", str(number), self.home.document("show", number)["staged"]["digest"], *rest]
            case [("reject" | "reply" | "cancel") as verb, _number, *rest]:
                return [verb, str(self.staged.pop()), *rest]
            case ["merge", _number, *rest]:
                return ["merge", str(self.published.pop()), *rest]
            case ["undo", _number, *rest]:
                return ["undo", str(self.merged), *rest]
            case ["show" | "verify" as verb, _number, *rest]:
                return [verb, str(self.published[0]), *rest]
            case _:
                return [self._own_word(words, n) for n in range(len(words))]

    def _own_word(self, words: list[str], n: int) -> str:
        word, before = words[n], words[n - 1] if n else ""
        if before in ("unschedule", "run-schedule"):
            return str(self.home.call("schedules", "--json").json()[0]["id"])
        if word == "SESSION":
            return str(self.home.call("sessions", "list", "--json").json()[0]["id"])
        if before in ("--requests", "--evaluations"):
            return FEWER[word]
        if word in ("NAME", "TEXT"):
            return {"NAME": "gpu1", "TEXT": "the reason"}[word]
        numbers = {"1": self.waiting[0], "140": self.waiting[0], "141": self.waiting[1], "142": self.waiting[2]}
        if before in ("move", "--before", "--why", "--after") and word in numbers:
            return str(numbers[word])
        if word == "web=/srv/git/web.git":
            return f"web={self.home.bare}"
        if word == "objectives.yaml":
            return str(self.home.folder / word)
        return str(self.home.folder / word) if re.fullmatch(r"[\w-]+\.(csv|json|html|tar\.gz)", word) else word


def make_documented_home(home: CliHome) -> Reader:
    """The home of the pages: the lane `bump`, an endpoint, staged, published and waiting tasks, and a session."""
    home.commit(FILES)
    staged, published, waiting = ([*numbers] for numbers in (range(1, 7), range(7, 10), range(10, 13)))
    for number in staged:
        home.document("ask", f"set server.timeout to {40 + number} in config/app.yaml", "--as", "ana")
    for number in published:
        home.document("ask", f'create config/{number}.yaml with "n: {number}"', "--as", "ana")
    home.call("worker", "--drain")
    for number in published:
        home.call("approve", number, home.document("show", number)["staged"]["digest"], "--as", "lee")
    home.call("worker", "--drain")
    home.document("merge", merged := published.pop())
    home.call("pause", "--lane", "docs")
    for number in waiting:
        home.call("ask", f'add the line "- {number}" to README.md', "--lane", "docs", "--as", "ana")
    for name, text in WRITTEN.items():
        (home.folder / name).write_text(text)

    async def sign_in() -> None:
        async with opened(Home(home.root)) as app:
            for _ in range(2):
                link = await app.web_sessions.make_link(Actor("lee", "terminal"))
                await app.web_sessions.sign_in(link, BrowserClient("x"), None)

    asyncio.run(sign_in())
    return Reader(home, staged, published, waiting, merged)


def add_endpoint(home: CliHome) -> None:
    config = home.root / "countersign.yaml"
    config.write_text(config.read_text() + "models:\n  gpu1: {kind: ollama, url: 'http://127.0.0.1:9'}\n")


def add_lane(home: CliHome) -> None:
    (block,) = [each for each in blocks(DOCS / "workflows.md") if "lanes/bump.yaml" in each.kind]
    (home.root / "lanes" / "bump.yaml").write_text(block.text)
    policy = home.root / "policy.yaml"
    rule = "  - name: bumps\n    when: {lane: bump, from: [member]}\n"
    rule += "    allow: {approvals: {count: 1, from: [maintainer]}}\n"
    policy.write_text(policy.read_text().replace("\nrules:\n", f"\nrules:\n{rule}", 1))


MORE = {"queue.md": add_endpoint, "model-scheduling.md": add_endpoint, "workflows.md": add_lane}
"""What the home of one page has beside that of the others."""


@pytest.fixture(scope="module")
def documented(template_home: CliHome, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return make_documented_home(copy_home(template_home, tmp_path_factory.mktemp("documented")))


@pytest.fixture
def reader(documented: Reader, folder: Path) -> Reader:
    home = copy_home(documented.home, folder)
    return Reader(home, [*documented.staged], [*documented.published], documented.waiting, documented.merged)


@pytest.mark.parametrize("page", [page for page in PAGES if executed(page)], ids=name_of)
def test_every_command_of_a_page_does_what_the_page_says(page, reader):
    MORE.get(page.name, lambda _home: None)(reader.home)
    for line in executed(page):
        if reason_for_leaving_out(line) is None:
            said = reader.type(line)
            assert said.code == 0, f"countersign {line}: {said.err or said.out}"


def test_what_is_not_executed_is_on_a_page():
    lines = [line for page in PAGES for line in executed(page)]
    for pattern in NOT_EXECUTED:
        assert any(re.fullmatch(pattern, line) for line in lines), pattern
