"""The home directory: where it is, and the paths of the configuration and state in it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from core.model.errors import Kind, PermanentError, UsageError

CONFIG, POLICY, LANES, STATE = "countersign.yaml", "policy.yaml", "lanes", "state"
LOCAL_NAME = ".countersign"


@dataclass(frozen=True, slots=True)
class Home:
    """Paths inside one home directory (contract.md, "Home")."""

    root: Path

    @property
    def config(self) -> Path:
        """countersign.yaml: repositories, people, surfaces, database."""
        return self.root / CONFIG

    @property
    def policy(self) -> Path:
        """policy.yaml: the rules."""
        return self.root / POLICY

    @property
    def secret_baseline(self) -> Path:
        """secrets.baseline: fingerprints of secrets that the operator accepts in changes; may be absent."""
        return self.root / "secrets.baseline"

    @property
    def lanes(self) -> Path:
        """The folder of lane files."""
        return self.root / LANES

    @property
    def state(self) -> Path:
        """Everything that Countersign writes: database, git stores, artifacts."""
        return self.root / STATE

    @property
    def artifacts(self) -> Path:
        """The contents of artifacts."""
        return self.state / "artifacts"

    @property
    def git(self) -> Path:
        """The git stores, which only the host writes."""
        return self.state / "git"

    @property
    def keys(self) -> Path:
        """The keys that sign receipts."""
        return self.state / "keys"

    @property
    def scratch(self) -> Path:
        """Checkouts of executors at work."""
        return self.state / "scratch"

    @property
    def is_new(self) -> bool:
        """Whether there is nothing at all where it should be; a folder with other files is never set up over."""
        return not self.root.exists() or (self.root.is_dir() and not any(self.root.iterdir()))

    def check(self) -> None:
        """Raise unless this is a readable home whose state can be written."""
        if not self.config.is_file():
            raise UsageError(
                "no_home",
                f"{self.root} is not a Countersign home (it has no {CONFIG})",
                "Create one with `countersign init --repo NAME=PATH`, or name yours with --home.",
            )
        writable = self.state if self.state.exists() else self.root
        if not os.access(writable, os.W_OK | os.X_OK):
            raise PermanentError(
                "read_only",
                f"{writable} is not writable",
                "Make the home directory writable, or run as its owner.",
                kind=Kind.UNAVAILABLE,
            )


def find_home(name: str | None) -> Home:
    """The home named by --home or COUNTERSIGN_HOME, else ./.countersign, else the platform's data folder."""
    directory = name or os.environ.get("COUNTERSIGN_HOME")
    try:
        if directory:
            return Home(Path(directory).expanduser().absolute())
        here = Path.cwd() / LOCAL_NAME
    except (FileNotFoundError, RuntimeError) as error:  # RuntimeError: ~ cannot be expanded
        raise UsageError(
            "no_folder",
            "the current directory or the home directory (~) does not exist",
            "Change to a directory that exists.",
        ) from error
    if here.is_dir():
        return Home(here)
    from platformdirs import user_data_path

    return Home(user_data_path("countersign", appauthor=False))
