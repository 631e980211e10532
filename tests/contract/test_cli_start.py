"""Starting is quick: no command pays for what another one needs."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

import pytest

from tests.homes import SCRIPT, clean_environment

HEAVY = {
    *("sqlalchemy", "sqlmodel", "pydantic", "alembic", "aiosqlite", "psycopg", "dbos", "git", "gitdb", "structlog"),
    *("rich", "ruamel", "tomlkit", "unidiff", "yaml", "securesystemslib", "cryptography", "detect_secrets", "re2"),
    *("asyncio", "ssl", "pathspec", "platformdirs", "filelock"),
}
GRACE = 4.0
"""`countersign --help` beside `import click` in a bare Python: it has our own modules to read, and nothing else."""


def _loaded_by(code: str) -> set[str]:
    """The modules at the top that a fresh Python has loaded after `code`."""
    tell = "; import sys, json; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", code + tell], capture_output=True, text=True, check=True, env=_environment()
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def _environment() -> dict[str, str]:
    return {**clean_environment(), "PYTHONSAFEPATH": "1"}


def _seconds(*argv: str) -> float:
    """The processor's time, which a busy machine does not stretch."""
    resource = pytest.importorskip("resource", reason="Windows counts no processor time of children")
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv, capture_output=True, check=True, env=_environment())
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return float(ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime)


def test_importing_the_command_line_loads_nothing_heavy():
    assert _loaded_by("import bot.cli") & (HEAVY | {"click"}) == set()
    assert _loaded_by("import bot.cli.commands") & HEAVY == set()


def test_help_loads_nothing_heavy():
    quiet = "import io, contextlib; import bot.cli; b = io.StringIO()\nwith contextlib.redirect_stdout(b): "
    loaded = _loaded_by(f"{quiet}bot.cli.call(['--help']); bot.cli.call(['ask', '--help'])\npass")
    assert loaded & HEAVY == set()


def test_help_is_hardly_slower_than_importing_click():
    ratios = [_seconds(str(SCRIPT), "--help") / _seconds(sys.executable, "-c", "import click") for _ in range(7)]
    assert statistics.median(ratios) < GRACE, f"a start costs {statistics.median(ratios):.1f} imports of click"


def test_a_home_on_sqlite_is_opened_without_the_dialect_of_postgresql():
    code = (
        "import bot.wiring.app, core.store.database, sys; sys.modules = {n.replace('.', '_'): 0 for n in sys.modules}"
    )
    loaded = _loaded_by(code)
    assert "core_store_tables" in loaded
    assert "sqlalchemy_dialects_postgresql" not in loaded
