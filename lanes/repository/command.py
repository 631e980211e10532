"""Runs git with a fixed set of subcommands, a clean environment, a timeout, and limits on memory, files and output."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE
from typing import Any, Final

from core.model.errors import PermanentError
from lanes.repository.running import GitError, Running

MIN_GIT_VERSION: Final = (2, 38)
"""The first version whose ``merge-tree --write-tree`` merges without a work tree."""

VERBS: Final = frozenset(
    {
        "add",
        "cat-file",
        "checkout-index",
        "commit-tree",
        "diff-tree",
        "fast-import",
        "fetch",
        "for-each-ref",
        "hash-object",
        "index-pack",
        "init",
        "ls-remote",
        "ls-tree",
        "merge-base",
        "merge-tree",
        "pack-objects",
        "push",
        "read-tree",
        "rev-list",
        "rev-parse",
        "update-index",
        "update-ref",
        "version",
        "write-tree",
    }
)
"""All git subcommands in use; all but add, fetch, push and init are plumbing."""

# The variables of the caller's environment that git may see: program locations and network access.
_PASSED: Final = frozenset(
    {"PATH", "SSH_AUTH_SOCK", "TMPDIR", "TMP", "TEMP", "SYSTEMROOT", "WINDIR", "COMSPEC", "PATHEXT", "USER", "LOGNAME"}
    | {"GIT_SSL_CAINFO", "GIT_SSL_CAPATH"}  # for companies with their own certificate authority
    | {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"}
)

FSCK: Final = {"zeroPaddedFilemode": "warn", "badTimezone": "warn", "badFilemode": "error"}
"""Severities that differ from the defaults of ``git fsck``.

Two faults occur in old, harmless histories: refusing them would refuse well-known repositories. An invalid mode, which
git would treat as a submodule, is an error.
"""

# Passed on every command line, so that no configuration file of a repository has any effect.
_SETTINGS: Final = (
    f"core.hooksPath={os.devnull}",
    f"core.attributesFile={os.devnull}",
    f"core.excludesFile={os.devnull}",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.autocrlf=false",
    "core.safecrlf=false",
    "core.eol=lf",
    "core.symlinks=true",
    "core.fileMode=true",
    "core.ignoreCase=false",
    "core.precomposeUnicode=false",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "core.quotePath=false",
    "core.bigFileThreshold=64m",
    "core.deltaBaseCacheLimit=32m",
    "core.filesRefLockTimeout=1000",
    "core.packedRefsTimeout=5000",
    "core.fsync=objects,reference",
    "core.fsyncMethod=batch",
    "core.askPass=",
    "credential.helper=",
    "gc.auto=0",
    "maintenance.auto=false",
    "fetch.recurseSubmodules=no",
    "fetch.unpackLimit=1",  # keep packs as packs, so that no object of a refused pack enters the store
    "push.gpgSign=false",
    "push.recurseSubmodules=no",
    "submodule.recurse=false",
    "transfer.fsckObjects=true",
    *(f"fetch.fsck.{fault}={verdict}" for fault, verdict in FSCK.items()),
    "transfer.credentialsInUrl=die",
)

MIB: Final = 1024 * 1024
_MEMORY_BYTES: Final = 256 * MIB
_IMPORT_MEMORY_BYTES: Final = 512 * MIB
FILE_BYTES: Final = 4096 * MIB
"""The largest file, such as a fetched pack, that git may write."""


@dataclass(frozen=True, slots=True)
class Output:
    """The status and the output of a git command."""

    code: int
    out: bytes
    err: str


class GitCommand:
    """Runs git on one git directory; blocking and thread-safe.

    Arguments are our own options and object ids; paths and messages are passed by standard input, addresses only after
    ``--``. `protocols` are those that the command may use; none by default.
    """

    def __init__(self, git_dir: Path, *, timeout_s: float = 120.0) -> None:
        self.git_dir = git_dir
        self._timeout_s = timeout_s

    def run(
        self,
        verb: str,
        *args: str,
        stdin: bytes = b"",
        ok: Iterable[int] = (0,),
        limit_bytes: int = 512 * MIB,
        limit_records: int | None = None,
        **options: Any,
    ) -> Output:
        """Run git to its end; raises `GitError` unless the status is in `ok`. `options` are those of `start`.

        Raises `GitFloodError`, and kills git, for output of more than `limit_bytes`, or `limit_records` NULs.
        """
        with self.start(verb, *args, **options) as running:
            writer = running.feed(stdin)
            out = running.read(limit_bytes, limit_records)
            code, err = running.finish()
            writer.join(5)
        if code not in ok:
            raise GitError(verb, code, err)
        return Output(code, out, err)

    def line(self, verb: str, *args: str, **options: Any) -> str:
        """The output of a successful command, without the last line ending."""
        return self.run(verb, *args, **options).out.decode("utf-8", "replace").rstrip("\n")

    @contextlib.contextmanager
    def start(
        self,
        verb: str,
        *args: str,
        protocols: str = "",
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout_s: float | None = None,
    ) -> Iterator[Running]:
        """A running git whose pipes the caller reads and writes; it is killed when the context ends."""
        if verb not in VERBS:
            raise ValueError(f"git {verb} is not in VERBS")
        settings = [part for setting in _SETTINGS for part in ("-c", setting)]
        variables = _environment(self.git_dir, protocols) | dict(environment or {})
        argv = [*_unset_command(variables), *_limit_command(verb), "git", *settings, verb, *args]
        session: dict[str, Any] = {"start_new_session": True} if os.name == "posix" else {}
        launcher = _launcher()(str(cwd or _existing_folder(self.git_dir)))
        process = launcher.execute(argv, istream=PIPE, as_process=True, env=variables, **session)
        running = Running(verb, process, timeout_s or self._timeout_s)
        try:
            yield running
        finally:
            running.close()


def check_git() -> None:
    """Raise `PermanentError` unless a recent enough git is installed; runs ``git version`` once."""
    _version_of(shutil.which("git"))


@functools.lru_cache(maxsize=4)
def _version_of(program: str | None) -> tuple[int, ...]:
    mend = "Install git 2.38 or newer (Debian: `apt install git`)."
    if program is None:
        raise PermanentError("git_missing", "There is no git on the PATH", mend)
    output = GitCommand(Path(program).parent, timeout_s=20).line("version")
    match = re.search(r"(\d+)\.(\d+)", output)
    version = tuple(int(n) for n in match.groups()) if match else (0, 0)
    if version < MIN_GIT_VERSION:
        raise PermanentError("git_too_old", f"{output.strip() or 'This git'} is too old", mend)
    return version


@functools.cache
def _launcher() -> Any:
    """GitPython's `Git`, imported on first use: the import runs ``git version`` and raises if git is missing."""
    if shutil.which("git") is None:
        _version_of(None)
    try:
        from git.cmd import Git  # noqa: PLC0415 - see above
    except ImportError as error:
        raise PermanentError("git_missing", "git is installed but does not run", "Run `git version`.") from error
    return Git


def _unset_command(variables: Mapping[str, str]) -> list[str]:
    """``env -u NAME ...``: GitPython passes on the caller's whole environment, so this unsets all but `variables`.

    Only names appear on the command line, never values. Windows has no ``env``; see `_environment`.
    """
    if os.name != "posix":
        return []
    names = (name for name in os.environ if name.upper() not in _PASSED)
    return ["env", *(part for name in names if name not in variables for part in ("-u", name))]


def memory_of(verb: str) -> int:
    """The memory limit of a subcommand in bytes; higher for those that import a history with millions of objects."""
    return _IMPORT_MEMORY_BYTES if verb in {"fetch", "index-pack"} else _MEMORY_BYTES


def _limit_command(verb: str) -> list[str]:
    """``sh -c 'ulimit ...'``: limits memory and file sizes of git and its children, whatever a remote sends.

    A push has no limits: it sends objects of this host, and to a local remote it runs that remote's hooks.
    """
    if os.name != "posix" or verb == "push":
        return []
    # with SIGXFSZ ignored, git reports which write failed instead of dying without a message
    limits = f"trap '' XFSZ; ulimit -d {memory_of(verb) // 1024}; ulimit -f {FILE_BYTES // 512}"
    return ["sh", "-c", f'{{ {limits}; }} 2>/dev/null; exec "$@"', "sh"]


def _environment(git_dir: Path, protocols: str) -> dict[str, str]:
    """The variables that git sees in addition to `_PASSED`; on Windows, foreign ``GIT_*`` variables are emptied."""
    if os.name == "posix":
        foreign: dict[str, str] = {}
    else:
        foreign = {name: "" for name in os.environ if name.upper().startswith("GIT_")}
    paths = {"GIT_DIR": git_dir, "GIT_INDEX_FILE": git_dir / "index", "HOME": git_dir}
    return foreign | _FIXED_ENVIRONMENT | {k: str(v) for k, v in paths.items()} | {"GIT_ALLOW_PROTOCOL": protocols}


_FIXED_ENVIRONMENT: Final = {
    "GIT_DIR": "",
    "GIT_ALLOW_PROTOCOL": "",
    "GIT_INDEX_FILE": "",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oStrictHostKeyChecking=yes",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_ADVICE": "0",
    "HOME": "",
    "LANGUAGE": "C",
    "LC_ALL": "C",
}


def _existing_folder(path: Path) -> Path:
    """`path` or its nearest existing parent, as a working directory."""
    return path if path.is_dir() else next((p for p in path.parents if p.is_dir()), Path(sys.prefix))
