"""The operator's baseline of secrets: which fingerprints it accepts, and that a broken file stops the check."""

from __future__ import annotations

import hashlib
import json

import pytest
from click.testing import CliRunner

from bot.cli.secrets import secrets
from bot.configuration.secret_baseline import SecretBaseline
from core.model.errors import ConfigError
from tests.unit.policies.tokens import GITHUB

pytestmark = pytest.mark.law

KNOWN = hashlib.sha256(GITHUB.encode()).hexdigest()


def test_a_home_without_a_baseline_accepts_nothing(tmp_path):
    assert not SecretBaseline(tmp_path / "secrets.baseline").accepts(KNOWN)


def test_a_fingerprint_counts_as_soon_as_it_is_written_and_until_it_is_removed(tmp_path):
    path = tmp_path / "secrets.baseline"
    baseline = SecretBaseline(path)
    path.write_text(f"# accepted by ana\n\n{KNOWN}  # the demo server\n")
    assert baseline.accepts(KNOWN)
    assert not baseline.accepts(KNOWN[::-1])
    path.write_text("")
    assert not baseline.accepts(KNOWN)


@pytest.mark.parametrize("content", [KNOWN[:20].encode(), KNOWN.upper().encode(), b"*", b"\xff"])
def test_a_baseline_that_is_not_understood_stops_the_check(tmp_path, content):
    path = tmp_path / "secrets.baseline"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"secrets\.baseline"):
        SecretBaseline(path).accepts(KNOWN)


def test_the_command_prints_the_fingerprint_and_never_the_secret(tmp_path):
    path = tmp_path / "a.env"
    path.write_text(f"token={GITHUB}\n")
    text, document = (
        CliRunner().invoke(secrets, [str(path), *more], standalone_mode=False) for more in ([], ["--json"])
    )
    for done in (text, document):
        assert done.return_value == 4
        assert KNOWN in done.output
        assert GITHUB[8:20] not in done.output
    assert json.loads(document.output)[0]["rule"] == "github-pat"
