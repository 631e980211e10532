"""The action that reviews a changed policy: its script on a real repository, with a `gh` that keeps its input."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.homes import SCRIPT, CliHome, clean_environment, copy_home, git, make_home

pytestmark = pytest.mark.law

ACTION = Path(__file__).parents[3] / "deploy" / "github" / "policy-review"
GH = """#!/bin/sh
# The API of comments: lists what is kept, and keeps what is written.
case "$*" in
  *--jq*) shift 3; test -s "$KEPT/comments.json" && jq -r "$2" "$KEPT/comments.json"; exit 0;;
esac
echo "$*" >>"$KEPT/calls"
for word; do case "$word" in body=@*) cp "${word#body=@}" "$KEPT/body.md";; esac; done
exit "${GH_STATUS:-0}"
"""


@dataclass(frozen=True, slots=True)
class Review:
    """What one run of the script came to."""

    code: int
    body: str
    calls: list[str]
    summary: str


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A repository with a configuration, whose base is committed."""

    folder: Path
    base: str
    kept: Path

    def review(self, **environment: str) -> Review:
        """Run the script as GitHub would."""
        done = subprocess.run(
            [ACTION / "review.sh"],
            cwd=self.folder,
            env={
                **clean_environment(),
                "PATH": f"{self.kept}:{SCRIPT.parent}:{os.environ['PATH']}",
                "KEPT": str(self.kept),
                "RUNNER_TEMP": str(self.kept),
                "BASE_SHA": self.base,
                "GITHUB_REPOSITORY": "acme/policy",
                "GITHUB_STEP_SUMMARY": str(self.kept / "summary.md"),
                "PULL_REQUEST": "7",
                "HOME_FOLDER": "ops",
                "HISTORY": "",
                "SINCE": "90d",
                "PACKAGE": "",
                **environment,
            },
            capture_output=True,
            check=False,
            timeout=120,
        )
        assert not list(self.kept.glob("policy-review.*")), "nothing stays behind"
        calls = (self.kept / "calls").read_text().splitlines() if (self.kept / "calls").exists() else []
        body = (self.kept / "body.md").read_text() if (self.kept / "body.md").exists() else done.stderr.decode()
        return Review(done.returncode, body, calls, (self.kept / "summary.md").read_text())

    def edit(self, old: str, new: str) -> None:
        """Change the policy in the work tree."""
        policy = self.folder / "ops" / "policy.yaml"
        assert old in policy.read_text()
        policy.write_text(policy.read_text().replace(old, new))


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> CliHome:
    """A home with one published task."""
    home = make_home(tmp_path_factory.mktemp("history"))
    home.published()
    return home


@pytest.fixture
def pull_request(history: CliHome, tmp_path: Path) -> PullRequest:
    folder, kept = tmp_path / "repository", tmp_path / "kept"
    (folder / "ops").mkdir(parents=True)
    kept.mkdir()
    for name in ("countersign.yaml", "policy.yaml"):
        shutil.copy(history.root / name, folder / "ops")
    shutil.copytree(history.root / "lanes", folder / "ops" / "lanes")
    git(folder, "init", "-q", "-b", "main", ".")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "policy")
    (kept / "gh").write_text(GH)
    (kept / "gh").chmod(0o755)
    return PullRequest(folder, git(folder, "rev-parse", "main"), kept)


def test_the_comment_says_what_would_be_decided_differently(pull_request, history, tmp_path):
    pull_request.edit("count: 1", "count: 2")
    copy = copy_home(history, tmp_path / "restored")
    review = pull_request.review(HISTORY=str(copy.root))
    assert review.code == 0, review
    assert "2 approvals of lee, max" in review.body
    assert "1 past decisions: 1 with other approvals" in review.body
    assert review.calls[-1].startswith("api --silent --method POST repos/acme/policy/issues/7/comments")
    assert review.summary == review.body


def test_a_later_run_edits_its_own_comment_and_no_other(pull_request):
    marker = "<!-- countersign policy review -->"
    rows = [{"id": 1, "user": {"type": "User"}, "body": marker}, {"id": 2, "user": {"type": "Bot"}, "body": marker}]
    (pull_request.kept / "comments.json").write_text(json.dumps(rows))
    review = pull_request.review()
    assert "Both policies decide every request in the same way." in review.body
    assert review.calls[-1].startswith("api --silent --method PATCH repos/acme/policy/issues/comments/2")


def test_a_wrong_policy_fails_and_is_named(pull_request):
    pull_request.edit("\nrules:\n", "\nrulez:\n")
    review = pull_request.review()
    assert review.code == 1
    assert "rulez" in review.body
    assert "Requests to come" not in review.body


def test_what_a_policy_quotes_does_not_leave_its_block(pull_request):
    pull_request.edit("count: 1", "count: 2")
    pull_request.edit("name: code-changes", 'name: "x````\\n# @everyone"')
    review = pull_request.review()
    fences = [line for line in review.body.splitlines() if line.startswith("```")]
    assert len(fences) % 2 == 0
    assert not any(line.startswith("# ") for line in review.body.splitlines())


def test_without_the_right_to_comment_the_summary_has_it(pull_request):
    review = pull_request.review(GH_STATUS="1")
    assert review.code == 0
    assert "Both policies decide every request" in review.summary


def test_the_action_gives_texts_to_the_script_by_the_environment_only():
    action = yaml.safe_load((ACTION / "action.yml").read_text())
    (step,) = action["runs"]["steps"]
    assert "${{" not in step["run"]
    assert set(step["env"]) == {
        *("BASE_SHA", "PULL_REQUEST", "HOME_FOLDER", "HISTORY", "SINCE", "PACKAGE", "GH_TOKEN"),
    }
