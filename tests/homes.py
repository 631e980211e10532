"""Homes on disk for tests of the whole program: a real repository, a real home, and two ways to run commands."""

from __future__ import annotations

import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import canary

SCRIPT = Path(sys.executable).with_name("countersign")
"""The console script that `pip install` made beside this Python."""

FILES: dict[str, str] = {
    "README.md": "# Web\n\nA small site.\n",
    "CHANGELOG.md": "# Changelog\n\n## Unreleased\n\n- nothing yet\n\n## 1.0\n\n- first\n",
    "config/app.yaml": "# keep me\nserver:\n  timeout: 10   # seconds\n  host: a\n",
    "src/a.py": "print(1)\n",
    ".github/workflows/ci.yml": "on: push\n",
    "pyproject.toml": '[project]\nname = "w"   # the name\nversion = "1.0.0"\n',
}
"""What the repository `web` holds unless a test says otherwise."""

PEOPLE = ("ana:member", "bo:member", "lee:maintainer", "max:maintainer")
TRACE = "Traceback (most recent call last)"


@dataclass(frozen=True, slots=True)
class Said:
    """What one run of the command line came to."""

    argv: tuple[str, ...]
    code: int
    out: str
    err: str

    def json(self) -> Any:
        """The document on stdout."""
        return json.loads(self.out)

    def sentence(self) -> str:
        """The one line that says what went wrong; fails when there is not exactly one."""
        lines = [line for line in self.err.splitlines() if line.strip()]
        assert len(lines) == 1, self
        assert lines[0].startswith("countersign: "), self
        return lines[0]

    def checked(self) -> Said:
        """Itself; fails when a traceback reached a person. Nor may a secret of the environment."""
        canary.seen(f"who ran {' '.join(self.argv)[:100]}", self.out, self.err)
        assert TRACE not in self.out + self.err, f"{self.argv}: {self.out}{self.err}"
        return self


@dataclass(frozen=True, slots=True)
class CliHome:
    """One home with one bare repository `web` beside it."""

    folder: Path

    @property
    def root(self) -> Path:
        """The home directory itself."""
        return self.folder / "home"

    @property
    def bare(self) -> Path:
        """The bare repository that stands for the remote."""
        return self.folder / "origin.git"

    @property
    def database(self) -> Path:
        """The SQLite file of the home."""
        return self.root / "state" / "countersign.sqlite"

    def argv(self, *words: object) -> list[str]:
        """The words of a command line on this home, as the console script takes them."""
        return ["--home", str(self.root), *map(str, words)]

    def run(
        self, *words: object, environment: Mapping[str, str] | None = None, stdin: str = "", timeout_s: float = 60
    ) -> Said:
        """Run the real console script, in a folder that is no home."""
        done = subprocess.run(
            [str(SCRIPT), *self.argv(*words)],
            input=stdin.encode(),
            capture_output=True,
            env={**clean_environment(), **(environment or {})},
            cwd=self.folder,
            timeout=timeout_s,
            check=False,
        )
        out, err = (stream.decode("utf-8", "surrogateescape") for stream in (done.stdout, done.stderr))
        return Said(tuple(map(str, words)), done.returncode, out, err).checked()

    def start(self, *words: object, **options: Any) -> subprocess.Popen[bytes]:
        """Begin a run of the console script; the caller ends it."""
        environment = {**clean_environment(), **options.pop("environment", {})}
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.Popen([str(SCRIPT), *self.argv(*words)], env=environment, cwd=self.folder, **pipes)

    def call(self, *words: object) -> Said:
        """Run the command line in this process: the same code without the start of a Python."""
        from bot.cli import call

        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2))
        with redirect_stdout(out), redirect_stderr(err):
            code = call(self.argv(*words))
        return Said(tuple(map(str, words)), code, _written(out), _written(err)).checked()

    def document(self, *words: object, code: int = 0) -> dict[str, Any]:
        """The JSON document that a command prints; fails unless it exits with `code`."""
        said = self.call(*words, "--json")
        assert said.code == code, said
        found: dict[str, Any] = said.json()
        return found

    def staged(self, text: str = "set server.timeout to 30 in config/app.yaml", **options: str) -> dict[str, Any]:
        """The document of a new task of ana's that waits for its approval."""
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        found = self.document("ask", text, "--repo", "web", "--as", "ana", "--wait", *words)
        assert found["state"] == "staged", found
        return found

    def published(self, text: str = "set server.timeout to 30 in config/app.yaml") -> dict[str, Any]:
        """The document of a new task of ana's that lee approved and that is published."""
        task = self.staged(text)
        found = self.document("approve", task["number"], task["staged"]["digest"], "--as", "lee", "--wait")
        assert found["state"] == "published", found
        return found

    def quicken(self) -> None:
        """Let a worker that is silent for a second count as dead."""
        config = self.root / "countersign.yaml"
        config.write_text(config.read_text() + "\nworker: {heartbeat_s: 0.2, lease_s: 2.0, poll_s: 0.2}\n")

    def hurry(self) -> None:
        """Let jobs that wait out a backoff be ready now."""
        with closing(sqlite3.connect(self.database)) as database, database:
            database.execute("UPDATE jobs SET ready_ms = 0 WHERE state = 'ready'")

    def git(self, *words: str) -> str:
        """What git says about the bare repository."""
        return git(self.bare, *words)

    def commit(self, files: Mapping[str, str | bytes], message: str = "more") -> str:
        """Commit files straight to the remote's main, as someone else would; returns the commit."""
        index = self.folder / "index"
        where = {**clean_environment(), "GIT_INDEX_FILE": str(index)}
        git(self.bare, "read-tree", "main", environment=where)
        for name, content in files.items():
            raw = content.encode() if isinstance(content, str) else content
            blob = git(self.bare, "hash-object", "-w", "--stdin", stdin=raw)
            git(self.bare, "update-index", "--add", "--cacheinfo", f"100644,{blob},{name}", environment=where)
        tree = git(self.bare, "write-tree", environment=where)
        made = git(self.bare, "commit-tree", tree, "-p", "main", "-m", message)
        git(self.bare, "update-ref", "refs/heads/main", made)
        index.unlink()
        return made

    def scripted(self, code: str, *, name: str = "scripted", write: str = '["src/**"]', wall_s: int = 60) -> None:
        """Add a lane that runs a Python script, and the rule that lets members use it."""
        lane = f"name: {name}\ndescribe: runs a script of ours\nwrite: {write}\nexecutor: command\n"
        lane += f'command: ["python3", "-c", {json.dumps(code)}]\n'
        lane += f"limits: {{files: 100, bytes: 1000000, wall_s: {wall_s}}}\n"
        (self.root / "lanes" / f"{name}.yaml").write_text(lane)
        rule = f"  - name: {name}-changes\n    when: {{lane: {name}, from: [member, maintainer]}}\n"
        rule += "    allow: {approvals: {count: 1, from: [maintainer]}, self_approve: false}\n"
        policy = self.root / "policy.yaml"
        policy.write_text(policy.read_text().replace("\nrules:\n", f"\nrules:\n{rule}", 1))


def _written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    raw = stream.buffer
    assert isinstance(raw, io.BytesIO)
    return raw.getvalue().decode("utf-8", "surrogateescape")


def clean_environment() -> dict[str, str]:
    """The environment without what steers git, Python or Countersign itself."""
    steering = ("GIT_", "COUNTERSIGN_", "PYTHON", "VIRTUAL_ENV", "COV_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(steering)}
    someone = {"NAME": "t", "EMAIL": "t@example.com"}
    return {**kept, **{f"GIT_{who}_{what}": said for who in ("AUTHOR", "COMMITTER") for what, said in someone.items()}}


def git(folder: Path, *words: str, environment: Mapping[str, str] | None = None, stdin: bytes | None = None) -> str:
    """What a git command prints, without the line's end; raises when it fails."""
    done = subprocess.run(
        ["git", "-C", str(folder), *words],
        env=environment or clean_environment(),
        input=stdin,
        capture_output=True,
        check=True,
    )
    return done.stdout.decode().rstrip("\n")


def make_repository(bare: Path, files: Mapping[str, str | bytes]) -> None:
    """A bare repository whose main has one commit with `files`."""
    work = bare.with_name(f"{bare.name}.work")
    work.mkdir()
    git(work, "init", "-q", "-b", "main", ".")
    for name, content in files.items():
        path = work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    git(work, "add", "-A")
    git(work, "commit", "-q", "--allow-empty", "-m", "start")
    git(work, "clone", "-q", "--bare", str(work), str(bare))
    shutil.rmtree(work)


def make_home(folder: Path, files: Mapping[str, str | bytes] | None = None) -> CliHome:
    """A new home made by `countersign init`, with the repository `web` and the people of `PEOPLE`."""
    folder.mkdir(parents=True, exist_ok=True)
    canary.home_made(folder)
    home = CliHome(folder)
    make_repository(home.bare, FILES if files is None else files)
    people = [word for person in PEOPLE for word in ("--person", person)]
    said = home.call("init", "--repo", f"web={home.bare}", *people)
    assert said.code == 0, said
    return home


def copy_home(template: CliHome, folder: Path) -> CliHome:
    """Another home like `template`, which nothing has open; much quicker than `init`."""
    canary.home_made(folder)
    copy = CliHome(folder)
    shutil.copytree(template.folder, folder, symlinks=True, dirs_exist_ok=True)
    config = copy.root / "countersign.yaml"
    config.write_text(config.read_text().replace(str(template.folder), str(folder)))
    return copy
