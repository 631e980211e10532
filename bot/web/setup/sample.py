"""The sample repository of a new home, and the rule that lets one person try everything alone in it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from core.ports.repository import RepositorySpec

NAME: Final = "sample"
FOLDER: Final = "sample.git"
FIRST_REQUEST: Final = "set server.timeout to 30 in config/app.yaml"
FILES: Final = {
    "README.md": "# Web\n\nA small service.\n",
    "config/app.yaml": "# how the service runs\nserver:\n  host: 0.0.0.0\n  timeout: 10   # seconds\n",
    "src/app.py": 'print("hello")\n',
    ".github/workflows/ci.yml": "on: push\n",
}
_RULES: Final = "rules:\n"
_RULE: Final = """\
  # The sample repository, to try everything alone. Delete this rule together with the repository.
  - name: sample-changes
    when: {from: [maintainer], repo: [sample]}
    allow:
      approvals: {count: 1, from: [maintainer]}
      self_approve: true
      expires: 14d
      merge: {from: [maintainer]}

"""


def make_sample(path: Path, name: str) -> None:
    """Create a bare repository with one commit of `FILES`, as a forge would have it."""
    from lanes.repository.clone import make_bare

    spec = RepositorySpec(name, f"local:{name}", str(path), "main", "local")
    make_bare(spec, {file: content.encode() for file, content in FILES.items()}, "Start\n")


def policy_with_sample() -> str:
    """The starter policy with the rule of the sample repository before all others."""
    from policies.load import starter_policy

    before, rules, after = starter_policy().partition(_RULES)
    assert rules, "the starter policy has rules"
    return f"{before}{_RULES}{_RULE}{after}"
