"""Every phrase that contract.md promises of the `edit` executor, from the command line to the bytes in git."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.homes import CliHome, copy_home, git, make_home

FILES = {
    "config/app.yaml": (
        "# keep me\nserver:\n  timeout: 10   # seconds\n  host: 'a'\n\nusers: [ana, bo]\nlong: >\n  folded\n  text\n"
    ),
    "pyproject.toml": (
        '[project]\nname = "w"   # the name\nversion = "1.0.0"\ndependencies = [\n  "httpx>=0.27",  # calls\n]\n'
    ),
    "package.json": '{\n    "name": "w",\n    "dependencies": {"left-pad": "^1.0.0"},\n    "n": 1\n}\n',
    "config/app.ini": "; top\n[web]\nport = 80 ; old\nname: x\n",
    "config/prod.env": "# who\nexport NAME='a'\nPORT=80\n",
    "requirements.txt": "# pins\nhttpx[http2]==0.27.0  # calls\nrich>=13\n",
    "README.md": "# Web\n\nUse foo, foo and food.\n\n## News\n\n- one\n\n## End\n\nbye",
    "docs/a.md": "foo\r\nbar\r\n",
    "docs/b.md": "no such word\n",
    "docs/old.md": "moved\n",
    "docs/gone.md": "drop me\n",
    "notes.txt": "keep\nfoo = 1\nkeep\n",
    "tools/run.sh": "#!/bin/sh\n",
}
LANE = 'name: all\ndescribe: everything by rule\nwrite: ["**"]\nexecutor: edit\nexecutables: true\n'
RULE = """\
  - name: all-changes
    when: {lane: all, from: [member]}
    allow: {approvals: {count: 1, from: [maintainer]}}
"""


def _with(path: str, old: str, new: str) -> dict[str, str | None]:
    assert FILES[path].count(old) == 1, (path, old)
    return {path: FILES[path].replace(old, new)}


PHRASES: dict[str, dict[str, str | None]] = {
    # set KEY to VALUE in FILE, in each format
    "set server.timeout to 30 in config/app.yaml": _with("config/app.yaml", "timeout: 10 ", "timeout: 30 "),
    "in config/app.yaml set server.timeout to 30": _with("config/app.yaml", "timeout: 10 ", "timeout: 30 "),
    "please set `server.host` = 'b' in config/app.yaml.": _with("config/app.yaml", "'a'", "'b'"),
    "set `server.timeout` to `211` in `config/app.yaml`": _with("config/app.yaml", "timeout: 10 ", "timeout: 211 "),
    "set users[1] to max in config/app.yaml": _with("config/app.yaml", "[ana, bo]", "[ana, max]"),
    "Set project.version to 1.1.0 in pyproject.toml": _with("pyproject.toml", '"1.0.0"', '"1.1.0"'),
    "set n to 2 in package.json": _with("package.json", '"n": 1', '"n": 2'),
    "set web.port to 8080 in config/app.ini": _with("config/app.ini", "port = 80 ", "port = 8080 "),
    "set NAME to b in config/prod.env": _with("config/prod.env", "'a'", "'b'"),
    "could you change PORT to 81 in config/prod.env, please?": _with("config/prod.env", "PORT=80", "PORT=81"),
    # replace X with Y in FILE or GLOB
    'replace "foo, foo" with "bar" in README.md': _with("README.md", "foo, foo", "bar"),
    "replace “foo” with “qux” in docs/*.md": {"docs/a.md": "qux\r\nbar\r\n", "docs/b.md": FILES["docs/b.md"]},
    "in docs/a.md replace 'bar' by 'baz'": {"docs/a.md": "foo\r\nbaz\r\n"},
    "replace foo with bar everywhere in notes.txt": _with("notes.txt", "foo", "bar"),
    'replace the word "foo" with "bar" in README.md': _with("README.md", "foo, foo", "bar, bar"),
    # add/append LINE to FILE [under HEADING]
    'add "last" to README.md': {"README.md": FILES["README.md"] + "\nlast"},
    'add a bullet "two" to README.md under News': _with("README.md", "- one\n", "- one\n- two\n"),
    'append the line "- two" to README.md under "News"': _with("README.md", "- one\n", "- one\n- two\n"),
    'under "News" add "- zero" to README.md': _with("README.md", "- one\n", "- one\n- zero\n"),
    # remove/delete the line containing X from FILE
    'remove the line containing "foo" from notes.txt': {"notes.txt": "keep\nkeep\n"},
    'remove the line "foo = 1" from notes.txt': {"notes.txt": "keep\nkeep\n"},
    'delete all lines containing "keep" from notes.txt': {"notes.txt": "foo = 1\n"},
    # rename/move FILE to FILE; delete FILE
    "rename docs/old.md to docs/new.md": {"docs/old.md": None, "docs/new.md": "moved\n"},
    "move docs/old.md to archive/": {"docs/old.md": None, "archive/old.md": "moved\n"},
    "delete docs/gone.md": {"docs/gone.md": None},
    # bump/pin PACKAGE to VERSION
    "bump httpx to 0.28.1 in requirements.txt": _with("requirements.txt", "==0.27.0", "==0.28.1"),
    "pin rich to 14.0.0": _with("requirements.txt", "rich>=13", "rich==14.0.0"),
    "bump httpx to 0.28 in pyproject.toml": _with("pyproject.toml", "httpx>=0.27", "httpx>=0.28"),
    "upgrade left-pad to 2.0.0 in package.json": _with("package.json", "^1.0.0", "^2.0.0"),
    # create FILE with "…"
    'create docs/x.md with "# Hello"': {"docs/x.md": "# Hello\n"},
    # several at once
    'set n to 3 in package.json and delete docs/gone.md; then add "x" to notes.txt': {
        **_with("package.json", '"n": 1', '"n": 3'),
        "docs/gone.md": None,
        "notes.txt": FILES["notes.txt"] + "x\n",
    },
}

REFUSED = {
    "sing me a song": ("asking", "I do not understand “sing” as something to do"),
    "make me a sandwich": ("asking", "I do not see the path of the file to create"),
    "set x to 1 in nope/none.yaml": ("failed", "There is no file nope/none.yaml"),
    "set server.timeot to 30 in config/app.yaml": ("failed", "timeout"),
    "rename README.md to ../../etc/x": ("asking", "../../etc/x"),
    "delete docs/": ("asking", "I delete files by their full names only"),
    "replace foo with bar": ("asking", "which file"),
    "replace foo with bar asap in README.md": ("asking", "several words"),
    "move docs/a.md to archive": ("asking", "archive may be a folder"),
    'remove the line "foo" from notes.txt': ("failed", "line 2 is “foo = 1”"),
    "bump nothing-here to 1.0": ("failed", "nothing-here"),
    "add a function to README.md": ("asking", "I cannot write a function myself"),
    'create README.md with "x"': ("failed", "There is a file README.md already"),
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> CliHome:
    """A home whose repository has every kind of file, and a lane that edits them all."""
    made = make_home(tmp_path_factory.mktemp("edits"), FILES)
    (made.root / "lanes" / "all.yaml").write_text(LANE)
    policy = made.root / "policy.yaml"
    policy.write_text(policy.read_text().replace("\nrules:\n", f"\nrules:\n{RULE}", 1))
    return made


def _ask_all(home: CliHome, texts) -> dict[str, dict[str, Any]]:
    """The task documents by text, all worked off by one worker."""
    numbers = {text: home.document("ask", text, "--lane", "all", "--as", "ana")["number"] for text in texts}
    assert home.call("worker", "--drain").code == 0
    return {text: home.document("show", number) for text, number in numbers.items()}


def test_every_phrase_stages_exactly_the_bytes_it_means(repository: CliHome, tmp_path):
    home = copy_home(repository, tmp_path)
    tasks = _ask_all(home, PHRASES)
    (store,) = (home.root / "state" / "git").iterdir()
    blobs: dict[str, str] = {}
    wrong = {}
    for text, expected in PHRASES.items():
        task = tasks[text]
        if task["state"] != "staged":
            wrong[text] = task["error"]
            continue
        tree = task["staged"]["tree"]
        now = {path: _read(store, oid, blobs) for path, oid in _listed(store, tree).items()}
        wanted = {path: content for path, content in {**FILES, **expected}.items() if content is not None}
        if now != wanted:
            wrong[text] = {p: now.get(p) for p in {*now, *wanted} if now.get(p) != wanted.get(p)}
    assert wrong == {}


def test_what_is_not_understood_or_not_there_is_said_and_never_guessed(repository: CliHome, tmp_path):
    home = copy_home(repository, tmp_path)
    tasks = _ask_all(home, REFUSED)
    for text, (state, part) in REFUSED.items():
        task = tasks[text]
        assert (task["state"], task["staged"]) == (state, None), (text, task)
        said = f"{task['error']['message']} {task['error']['mend']}"
        assert part in said, (text, said)
        assert task["error"]["mend"] or "Did you mean" in said or "I can" in said, (text, said)


def test_an_executable_keeps_its_mode_and_a_move_keeps_it_too(repository: CliHome, tmp_path):
    home = copy_home(repository, tmp_path)
    blob = home.git("rev-parse", "main:tools/run.sh")
    home.git("read-tree", "main")
    home.git("update-index", "--cacheinfo", f"100755,{blob},tools/run.sh")
    commit = home.git("commit-tree", home.git("write-tree"), "-p", "main", "-m", "mode")
    home.git("update-ref", "refs/heads/main", commit)
    tasks = _ask_all(home, ['add "echo" to tools/run.sh', "move tools/run.sh to tools/go.sh"])
    for task in tasks.values():
        assert task["state"] == "staged", task
    modes = [(f["path"], f["old_mode"], f["mode"]) for task in tasks.values() for f in task["staged"]["files"]]
    assert modes == [
        ("tools/run.sh", "100755", "100755"),
        ("tools/go.sh", "000000", "100755"),
        ("tools/run.sh", "100755", "000000"),
    ]


def _listed(store: Path, tree: str) -> dict[str, str]:
    """The files of a tree in the host's store: paths to ids."""
    lines = (line.split("\t") for line in git(store, "ls-tree", "-r", tree).splitlines())
    return {path: entry.split()[2] for entry, path in lines}


def _read(store: Path, oid: str, blobs: dict[str, str]) -> str:
    """A file in the host's store, its exact bytes; `blobs` are those that were read already."""
    if oid not in blobs:
        show = ["git", "-C", str(store), "cat-file", "blob", oid]
        blobs[oid] = subprocess.run(show, capture_output=True, check=True).stdout.decode()
    return blobs[oid]
