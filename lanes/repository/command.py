"""git as a program: a fixed list of verbs, an environment of ours, a deadline and a bound on everything."""

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

LEAST_GIT: Final = (2, 38)
"""The first git whose ``merge-tree --write-tree`` merges without a work tree."""

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
"""Everything this program ever asks of git; all but add, fetch, push and init are plumbing."""

# What git may see of the caller's environment: where programs are, how the network is reached, nothing else.
_PASSED: Final = frozenset(
    {"PATH", "SSH_AUTH_SOCK", "TMPDIR", "TMP", "TEMP", "SYSTEMROOT", "WINDIR", "COMSPEC", "PATHEXT", "USER", "LOGNAME"}
    | {"GIT_SSL_CAINFO", "GIT_SSL_CAPATH"}  # whom to trust, where a company signs its own certificates
    | {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"}
)

FSCK: Final = {"zeroPaddedFilemode": "warn", "badTimezone": "warn", "badFilemode": "error"}
"""What of ``git fsck`` is judged otherwise than it does itself.

Two faults that old and harmless histories have; refusing them would refuse well-known repositories. And a mode that
is none, which git would take for a submodule.
"""

# Said on every command line, so that no configuration file of any repository has a word in it.
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
    "fetch.unpackLimit=1",  # a pack stays a pack: nothing of a refused one becomes an object of ours
    "push.gpgSign=false",
    "push.recurseSubmodules=no",
    "submodule.recurse=false",
    "transfer.fsckObjects=true",
    *(f"fetch.fsck.{fault}={verdict}" for fault, verdict in FSCK.items()),
    "transfer.credentialsInUrl=die",
)

MIB: Final = 1024 * 1024
_MEMORY_BYTES: Final = 256 * MIB
_TAKING_BYTES: Final = 512 * MIB
FILE_BYTES: Final = 4096 * MIB
"""How large a file, such as a fetched pack, a git may write."""


@dataclass(frozen=True, slots=True)
class Output:
    """How a git command ended and what it wrote."""

    code: int
    out: bytes
    err: str


class GitCommand:
    """Runs git on one git directory; blocking, and safe to use from several threads.

    Arguments are options and object ids of ours; paths and messages travel by standard input, an address only
    after ``--``. `protocols` names what the command may reach over; nothing by default.
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
        **how: Any,
    ) -> Output:
        """Run to the end; raises `GitError` unless the status is in `ok`. `how` is as for `start`.

        Raises `GitFloodError`, and ends git, beyond `limit_bytes` or `limit_records` (each ends with a NUL) of output.
        """
        with self.start(verb, *args, **how) as running:
            writer = running.feed(stdin)
            out = running.read(limit_bytes, limit_records)
            code, err = running.finish()
            writer.join(5)
        if code not in ok:
            raise GitError(verb, code, err)
        return Output(code, out, err)

    def line(self, verb: str, *args: str, **how: Any) -> str:
        """The one line that a successful command writes."""
        return self.run(verb, *args, **how).out.decode("utf-8", "replace").rstrip("\n")

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
        """A running git whose pipes the caller reads and feeds; whatever happens, it is dead afterwards."""
        if verb not in VERBS:
            raise ValueError(f"git {verb} is not among the verbs in use")
        settings = [part for setting in _SETTINGS for part in ("-c", setting)]
        wanted = _environment(self.git_dir, protocols) | dict(environment or {})
        argv = [*_unsetting(wanted), *_bounding(verb), "git", *settings, verb, *args]
        session: dict[str, Any] = {"start_new_session": True} if os.name == "posix" else {}
        launcher = _launcher()(str(cwd or _existing(self.git_dir)))
        process = launcher.execute(argv, istream=PIPE, as_process=True, env=wanted, **session)
        running = Running(verb, process, timeout_s or self._timeout_s)
        try:
            yield running
        finally:
            running.close()


def check_git() -> None:
    """Raise `PermanentError` unless a git that is new enough is here; asks it once."""
    _version_of(shutil.which("git"))


@functools.lru_cache(maxsize=4)
def _version_of(program: str | None) -> tuple[int, ...]:
    mend = "Install git 2.38 or newer (Debian: `apt install git`)."
    if program is None:
        raise PermanentError("git_missing", "There is no git on the PATH", mend)
    said = GitCommand(Path(program).parent, timeout_s=20).line("version")
    match = re.search(r"(\d+)\.(\d+)", said)
    version = tuple(int(n) for n in match.groups()) if match else (0, 0)
    if version < LEAST_GIT:
        raise PermanentError("git_too_old", f"{said.strip() or 'This git'} is too old", mend)
    return version


@functools.cache
def _launcher() -> Any:
    """GitPython's `Git`, imported at the first use: its import runs ``git version``, and raises without a git."""
    if shutil.which("git") is None:
        _version_of(None)
    try:
        from git.cmd import Git  # noqa: PLC0415 - see above
    except ImportError as error:
        raise PermanentError("git_missing", "git is here but does not run", "Run `git version`.") from error
    return Git


def _unsetting(wanted: Mapping[str, str]) -> list[str]:
    """``env -u NAME ...``: GitPython hands on the caller's whole environment, so all but `wanted` is taken away again.

    Names only, so that no value is ever on a command line. Windows has no ``env``; see `_environment`.
    """
    if os.name != "posix":
        return []
    names = (name for name in os.environ if name.upper() not in _PASSED)
    return ["env", *(part for name in names if name not in wanted for part in ("-u", name))]


def memory_of(verb: str) -> int:
    """The bytes that a git may fill of its own: more where objects come in, for a history has a million of them."""
    return _TAKING_BYTES if verb in {"fetch", "index-pack"} else _MEMORY_BYTES


def _bounding(verb: str) -> list[str]:
    """``sh -c 'ulimit ...'``: what a remote sent cannot make git, or what git starts, fill the memory or the disk.

    A push is not bounded: it sends what is here already, and on this host it runs the remote's own hooks.
    """
    if os.name != "posix" or verb == "push":
        return []
    # with the signal off, git says which write failed, where it would have died without a word
    limits = f"trap '' XFSZ; ulimit -d {memory_of(verb) // 1024}; ulimit -f {FILE_BYTES // 512}"
    return ["sh", "-c", f'{{ {limits}; }} 2>/dev/null; exec "$@"', "sh"]


def _environment(git_dir: Path, protocols: str) -> dict[str, str]:
    """What git sees beside `_PASSED`; where nothing can be unset, what is not ours is made empty."""
    if os.name == "posix":
        foreign: dict[str, str] = {}
    else:
        foreign = {name: "" for name in os.environ if name.upper().startswith("GIT_")}
    here = {"GIT_DIR": git_dir, "GIT_INDEX_FILE": git_dir / "index", "HOME": git_dir}
    return foreign | _OURS | {k: str(v) for k, v in here.items()} | {"GIT_ALLOW_PROTOCOL": protocols}


_OURS: Final = {
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


def _existing(path: Path) -> Path:
    """`path`, or the nearest folder above it that is there: where a command can stand."""
    return path if path.is_dir() else next((p for p in path.parents if p.is_dir()), Path(sys.prefix))
