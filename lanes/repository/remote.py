"""The remote that a store is filled from and pushes to."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

from core.model.change import show_path
from core.model.errors import PermanentError
from lanes.repository.address import Address, parse_address
from lanes.repository.command import MIB, Output, check_git
from lanes.repository.credentials import Credentials, with_credentials
from lanes.repository.faults import push_refusal
from lanes.repository.git_names import check_branch
from lanes.repository.packs import remove_abandoned_packs
from lanes.repository.ref_locks import retry_while_locked
from lanes.repository.running import GitError
from lanes.repository.store import Store

_TRANSFER_S: Final = 900.0


class Remote:
    """The remote of a store's repository; every method blocks.

    `credentials` give the token of a private https remote; an ssh or local remote needs none.
    """

    def __init__(self, store: Store, credentials: Credentials | None = None) -> None:
        self._store, self._spec, self._credentials = store, store.spec, credentials

    @property
    def address(self) -> Address:
        """The checked address; raises `PermanentError` ``bad_address``."""
        return parse_address(self._spec.url)

    def fetch_base(self) -> str:
        """Fetch the default branch alone; its commit id."""
        return self.fetch_tip(self._spec.branch)

    def fetch_tip(self, branch: str) -> str:
        """Fetch one branch alone; its commit id."""
        check_branch(branch)
        base = f"refs/bases/{hashlib.sha256(branch.encode()).hexdigest()[:16]}"
        try:
            self.fetch(f"+refs/heads/{branch}:{base}")
        except GitError as failure:
            if "find remote ref" in failure.err:
                raise self._no_branch(branch) from failure
            raise
        return self._store.git.line("rev-parse", "--verify", "--end-of-options", f"{base}^{{commit}}")

    def fetch(self, refspec: str) -> None:
        """Fetch `refspec`, which must not contain text of users."""
        self._store.ensure()
        options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules")
        # without --update-shallow git takes nothing from a remote that is a shallow clone itself
        argv = ("fetch", *options, "--update-shallow", "--", self.address.url, refspec)
        try:
            retry_while_locked(self._store.path, lambda: self._run(*argv, timeout_s=_TRANSFER_S))
        except GitError:
            remove_abandoned_packs(self._store.path)
            raise

    def _run(self, *argv: str, **options: Any) -> Output:
        """Run git with only the remote's protocol allowed, and with a token if the remote needs one."""
        protocol = self.address.protocol
        return with_credentials(
            self._credentials,
            self._spec,
            protocol,
            lambda environment: self._store.git.run(*argv, protocols=protocol, environment=environment, **options),
        )

    def refs(self, *names: str) -> dict[str, str]:
        """The object ids of the references with the full `names`, or of all branches without names, by name."""
        self._store.ensure()
        patterns = names or ("refs/heads/*",)
        out = self._run("ls-remote", "--quiet", "--", self.address.url, *patterns, limit_bytes=64 * MIB).out
        pairs = (line.split("\t", 1) for line in out.decode("utf-8", "surrogateescape").splitlines())
        return {name: oid for oid, name in pairs if not names or name in names}

    def default_branch(self) -> str:
        """The branch that the remote's HEAD names; ``main`` when it names none yet. Works before the store exists."""
        check_git()
        argv = ("ls-remote", "--quiet", "--symref", "--", self.address.url, "HEAD")
        out = self._run(*argv).out.decode("utf-8", "surrogateescape")
        match = re.search(r"^ref: refs/heads/(\S+)\tHEAD$", out, re.MULTILINE)
        return check_branch(match.group(1)) if match else "main"

    def push(self, ref: str, commit: str, expected: str | None) -> bool:
        """Move the remote's `ref` from `expected` (None: absent) to `commit`; False if the ref is not at `expected`.

        An empty `commit` deletes the ref. Raises `PermanentError` ``push_refused`` when the remote's rules refuse it.
        """
        self._store.ensure()
        options = ("--porcelain", "--no-verify", "--no-follow-tags", "--no-recurse-submodules", "--no-signed")
        lease = f"--force-with-lease={ref}:{expected or ''}"
        argv = ("push", *options, lease, "--", self.address.url, f"{commit}:{ref}")
        push = retry_while_locked(self._store.path, lambda: self._run(*argv, ok=(0, 1), timeout_s=_TRANSFER_S))
        if push.code == 0:
            return True
        report = push.out.decode("utf-8", "replace")
        if "[remote failure]" in report or not re.search(r"^!\t", report, re.MULTILINE):
            raise GitError("push", push.code, push.err)  # the connection broke; the remote refused nothing
        if "stale info" in report or "[rejected]" in report:
            return False
        if re.search(r"cannot lock ref|failed to update ref|fetch first|incorrect old value", report):
            return False
        raise push_refusal(report, push.err, self._spec.name, ref.removeprefix("refs/heads/"))

    def _no_branch(self, branch: str) -> PermanentError:
        heads = sorted(name.removeprefix("refs/heads/") for name in self.refs())
        name = self._spec.name
        if not heads:
            mend = "Push a first commit to it."
            return PermanentError("repository_empty", f"The repository {name} has no commit yet", mend)
        listed = ", ".join(show_path(head.encode("utf-8", "surrogateescape")) for head in heads[:5])
        mend = f"It has {listed}; set `branch:` of {name} in countersign.yaml."
        return PermanentError("no_such_branch", f"The repository {name} has no branch {branch}", mend)
