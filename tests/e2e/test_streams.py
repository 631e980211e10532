"""The streams, the locale and the words of a command line may be anything; what comes out stays one clear sentence."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.homes import SCRIPT, TRACE, CliHome, clean_environment, copy_home

pytestmark = pytest.mark.xdist_group("streams")  # one filled home for all
TEXT = "add “café 💥 \u202etxt.exe\u202c” to README.md"


@pytest.fixture(scope="module")
def filled(template_home: CliHome, tmp_path_factory: pytest.TempPathFactory) -> CliHome:
    """A home with one staged task and many long requests: more output than a pipe holds."""
    home = copy_home(template_home, tmp_path_factory.mktemp("filled"))
    home.staged()
    for n in range(40):
        home.document("ask", f"set server.timeout to {n} in config/app.yaml {'x' * 2000}", "--as", "ana")
    return home


def shell(home: CliHome, line: str, **environment: str) -> tuple[int, bytes, bytes]:
    """Run a line of bash in which `countersign` is the command on `home`; nothing of it may be a traceback."""
    said = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f'countersign() {{ "{SCRIPT}" --home "{home.root}" "$@"; }}; {line}'],
        env={**clean_environment(), **environment},
        cwd=home.folder,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert TRACE.encode() not in said.stdout + said.stderr, said
    assert b"Exception ignored" not in said.stderr, said
    return said.returncode, said.stdout, said.stderr


@pytest.mark.parametrize(
    "line",
    [
        "countersign list --json --limit 1000 | head -c 1",
        "countersign events --json | head -1",
        "countersign list | true",
        "countersign show 1 --diff | true",
        "countersign --help | true",
        "countersign events -f --json | head -1",
    ],
)
def test_a_reader_that_had_enough_is_no_fault(filled: CliHome, line: str):
    code, _, err = shell(filled, line)
    assert (code, err) == (0, b"")


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("countersign list >&-", 0),
        ("countersign list <&- >&- 2>&-", 0),
        ("countersign show 1 --diff >&-", 0),
        ("countersign show 999 2>&-", 6),
        ("countersign show 999 --json >&- 2>&-", 6),
        ("countersign show 999 2>/dev/full", 6),
    ],
)
def test_closed_streams_change_nothing_but_what_is_read(filled: CliHome, line: str, wanted: int):
    code, _, _ = shell(filled, line)
    assert code == wanted


@pytest.mark.parametrize("words", ["list", "list --json", "show 1 --diff", "events", "--help"])
def test_output_that_cannot_be_written_is_an_error_and_no_success(filled: CliHome, words: str):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    code, _, err = shell(filled, f"countersign {words} > /dev/full")
    assert code == 7
    assert err.startswith(b"countersign: ")
    assert err.count(b"\n") == 1
    assert b"No space left on device" in err or b"The disk is full" in err


def test_a_whole_request_works_with_every_stream_closed(home: CliHome):
    code, _, _ = shell(
        home, "countersign ask 'set server.timeout to 3 in config/app.yaml' --as ana --wait <&- >&- 2>&-"
    )
    assert code == 0
    assert home.document("show", 1)["state"] == "staged"


@pytest.mark.parametrize("word", ["--as", "--repo", "--lane", "--deadline", "--priority", "--after"])
def test_words_that_are_no_utf8_are_refused_in_a_sentence(filled: CliHome, word: str):
    code, out, err = shell(filled, f"countersign ask x {word} $'caf\\xe9' --json")
    assert code == 2
    assert b"is not valid UTF-8" in err
    assert json.loads(out)["error"]["kind"] == "usage"


@pytest.mark.parametrize(
    "environment",
    [
        {"LANG": "C", "LC_ALL": "C"},
        {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "ascii"},
    ],
    ids=lambda e: " ".join(e.values()),
)
def test_any_locale_shows_the_card_and_prints_the_same_document(home: CliHome, environment):
    number = home.document("ask", TEXT, "--as", "ana")["number"]
    plain = home.document("show", number)
    code, out, err = shell(home, f"countersign show {number}", **environment)
    assert (code, err) == (0, b"")
    assert b"received" in out
    code, out, _ = shell(home, f"countersign show {number} --json", **environment)
    assert code == 0
    encoding = environment.get("PYTHONIOENCODING", "utf-8")
    assert json.loads(out.decode(encoding)) == plain


def test_an_empty_environment_is_enough(home: CliHome):
    said = subprocess.run(
        [SCRIPT, "--home", home.root, "ask", "set server.timeout to 3 in config/app.yaml", "--as", "ana", "--wait"],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said
    assert home.document("show", 1)["state"] == "staged"


def test_who_the_caller_is_to_git_does_not_matter(home: CliHome):
    stranger = {"GIT_AUTHOR_NAME": "x", "GIT_COMMITTER_EMAIL": "x@example.com", "GIT_DIR": "/x", "GIT_WORK_TREE": "/y"}
    said = home.run("ask", "set server.timeout to 3 in config/app.yaml", "--as", "ana", "--wait", environment=stranger)
    assert said.code == 0
    digest = home.document("show", 1)["staged"]["digest"]
    published = home.run("approve", 1, digest, "--as", "lee", "--wait", "--json", environment=stranger).json()
    assert "x@example.com" not in home.git("log", "-1", "--format=%ae %ce", published["pull_request"]["branch"])


def test_a_current_directory_that_is_gone_is_said(home: CliHome):
    code, _, err = shell(home, f"mkdir gone; cd gone; rmdir ../gone; '{SCRIPT}' list")
    assert code == 2
    assert b"current directory" in err
    assert shell(home, "mkdir gone; cd gone; rmdir ../gone; countersign list")[0] == 0


def test_an_unknown_level_of_logging_is_named(home: CliHome):
    said = home.run("list", environment={"COUNTERSIGN_LOG": "loud"})
    assert said.code == 2
    assert "DEBUG, INFO, WARNING" in said.sentence()
