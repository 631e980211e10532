"""The template repository of the documentation is one that works as it is: copied, installed, and tested by its own."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from tests.homes import clean_environment
from tests.integration.plugins.installed import TEMPLATE, enable, pip_install

pytestmark = pytest.mark.lanes


def test_the_template_installs_passes_its_own_tests_and_is_enabled(tmp_path, home, monkeypatch):
    copy = shutil.copytree(TEMPLATE, tmp_path / "copy", ignore=shutil.ignore_patterns("__pycache__"))
    site = pip_install(copy, tmp_path / "site")
    shutil.rmtree(copy / "src")  # what runs is what was installed
    environment = {**clean_environment(), "PYTHONPATH": str(site), "PYTHONSAFEPATH": "1"}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # its tests need none of ours
    plain = ("-m", "pytest", "-q", "-p", "no:cacheprovider")
    tested = subprocess.run(
        [sys.executable, *plain], cwd=copy, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert " passed" in tested.stdout

    enable(
        home.root,
        "  guards: {no-todo: {markers: [TODO, FIXME]}}\n  checks: {compiles: {}}\n  notifiers: {tally: {}}",
    )
    monkeypatch.syspath_prepend(str(site))
    rows = home.document("doctor")["checks"]
    plugins = {row["name"]: row["verdict"] for row in rows if row["name"].startswith("plugin ")}
    assert plugins == {"plugin guards/no-todo": "ok", "plugin checks/compiles": "ok", "plugin notifiers/tally": "ok"}
