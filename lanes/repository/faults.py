"""Translates git's English error output to errors that say what to do."""

from __future__ import annotations

import re
from typing import Final

from core.model.change import show_path
from core.model.errors import CountersignError, Kind, PermanentError, TransientError
from lanes.repository.command import FILE_BYTES, MIB, memory_of
from lanes.repository.running import GitError, GitFloodError, GitTimeoutError

_NOT_FOUND: Final = re.compile(
    r"does not appear to be a git repository|repository '.*' (?:not found|does not exist)|[Rr]epository not found"
    r"|not a git repository|invalid gitfile format|remote: Not Found|returned error: 404"
)
_NO_ACCESS: Final = re.compile(
    r"Authentication failed|could not read (?:Username|Password)|Permission denied|terminal prompts disabled"
    r"|Host key verification failed|returned error: 40[13]|access denied|Permission to .* denied"
)
_UNREACHABLE: Final = re.compile(
    r"Could not resolve host|Connection (?:refused|timed out|reset|closed)|unable to access|early EOF|hung up"
    r"|RPC failed|timed out|Network is unreachable|No route to host|returned error: (?:429|5\d\d)|unable to look up"
    r"|Temporary failure|Could not read from remote|TLS|SSL|Failed to connect"
)
_CORRUPT: Final = re.compile(
    r"fsck error|is corrupt|object file .* is empty|bad object|missing (?:blob|tree|commit|tag)|inflate:"
    r"|unable to read (?:tree|sha1|[0-9a-f]{40})|invalid sha1 pointer|did not send all necessary|pack has|bad pack"
    r"|unpack(?:er)? error|index-pack (?:failed|abnormal)|loose object|packfile .* (?:cannot|claims)|could not parse"
    r"|did not receive expected object|is a (?:blob|tree|commit|tag), not a|bogus commit|bad tree pointer"
    r"|expected commit type|invalid length|invalid index-pack output"
    r"|Could not read [0-9a-f]{40}|unable to parse|not a valid object|garbage at end"
)
LOCKED: Final = re.compile(r"cannot lock ref|[Uu]nable to create '[^']+\.lock': File exists")
LOCK_FILE: Final = re.compile(r"nable to create '([^']+\.lock)': File exists")
_DISK_FULL: Final = re.compile(r"No space left on device|Disk quota exceeded")
_TOO_LARGE: Final = re.compile(
    r"[Oo]ut of memory|Cannot allocate memory|cannot create thread|File too large"
    r"|maximum allowed size|larger than (?:2|4)GB"
)
_CRASHED: Final = re.compile(r"died of signal (?:6|7|11)\b")
_CRASHES: Final = frozenset({-6, -7, -11})
"""Signals of a git that crashed on its input."""


def explain(failure: GitError, name: str) -> CountersignError:
    """The error to raise for `failure` of a git command on the repository `name`."""
    return (
        _explain_termination(failure, name)
        or _explain_local(failure, name)
        or _explain_remote(failure, name)
        or _unexpected(failure, name)
    )


def _explain_termination(failure: GitError, name: str) -> CountersignError | None:
    """The error for a git that a limit, a crash or a signal ended; None if it ended by itself."""
    if isinstance(failure, GitTimeoutError):
        return TransientError("git_timeout", f"git {failure.verb} on {name} did not finish in time", retry_after_s=30)
    if isinstance(failure, GitFloodError):
        return PermanentError("too_large", f"git {failure.verb} on {name} gave {failure.err}", kind=Kind.BLOCKED)
    if _TOO_LARGE.search(failure.err):
        limits = f"{memory_of(failure.verb) // MIB} MiB of memory and files of {FILE_BYTES // MIB} MiB"
        message = f"git {failure.verb} on {name} needs more than its limits of {limits}"
        mend = "Find the object that is larger, also when unpacked, with `git cat-file --batch-check`."
        return PermanentError("too_large", message, mend, kind=Kind.BLOCKED)
    if failure.code in _CRASHES or _CRASHED.search(failure.err):
        mend = "Run `git fsck` there: an object is nested too deeply or was made to crash git."
        return PermanentError("repository_corrupt", f"git {failure.verb} crashed on the repository {name}", mend)
    if failure.code < 0:
        # a signal from outside, such as a Ctrl-C in the moment before git has its own session
        message = f"git {failure.verb} on {name} was ended by signal {-failure.code}"
        return TransientError("git_killed", message, retry_after_s=0.1)
    return None


def _explain_local(failure: GitError, name: str) -> CountersignError | None:
    """The error for a cause on this host or in the request; None for other causes."""
    err = failure.err
    if _DISK_FULL.search(err):
        mend = "Free space on the disk that holds the state folder."
        return TransientError("disk_full", "The disk is full", mend, retry_after_s=60)
    if failure.verb == "index-pack":
        mend = "The pack was modified, or holds objects that git refuses: make the change again."
        return PermanentError("bad_pack", f"git refuses a pack for {name}: {last_words(err)}", mend)
    if "dubious ownership" in err:
        mend = "Give the repository's folder to the user who runs countersign (chown -R)."
        return PermanentError("foreign_repository", f"The repository {name} belongs to another user", mend)
    if re.search(r"transport '.*' not allowed|protocol '.*' is not supported", err):
        mend = "Give an https:// or ssh:// address, or an absolute path."
        return PermanentError("bad_address", f"The address of {name} is refused", mend, kind=Kind.USAGE)
    if "mismatched algorithms" in err or "object format" in err:
        mend = "Use a repository with SHA-1 object ids; others are not supported."
        return PermanentError("object_format", f"The repository {name} uses another object format", mend)
    return None


def _explain_remote(failure: GitError, name: str) -> CountersignError | None:
    err, detail = failure.err, last_words(failure.err)
    if _CORRUPT.search(err):
        mend = "Run `git fsck` there; objects that fsck refuses are not imported."
        return PermanentError("repository_corrupt", f"The repository {name} is damaged: {detail}", mend)
    if _NOT_FOUND.search(err):
        mend = "Check its address in countersign.yaml."
        return PermanentError("no_such_repository", f"There is no git repository {name}: {detail}", mend)
    if _NO_ACCESS.search(err):
        if failure.verb == "push":
            message = f"The repository {name} does not let Countersign push: {detail}"
            return PermanentError("no_access", message, "Grant its key or token the permission to push.")
        mend = "Check the key or token that git uses for it."
        return PermanentError("no_access", f"The repository {name} denies Countersign access: {detail}", mend)
    if LOCKED.search(err):
        return TransientError("git_locked", f"The git store of {name} is busy", retry_after_s=2)
    if _UNREACHABLE.search(err):
        mend = "Nothing is lost; Countersign tries again."
        return TransientError("remote_unreachable", f"The repository {name} cannot be reached: {detail}", mend)
    return None


def _unexpected(failure: GitError, name: str) -> CountersignError:
    detail = last_words(failure.err)
    return PermanentError("git_failed", f"git {failure.verb} failed on {name} ({failure.code}): {detail}")


_GENERIC_LINES: Final = frozenset(
    {
        "fatal: Could not read from remote repository.",
        "Please make sure you have the correct access rights",
        "and the repository exists.",
    }
)
"""Lines that git adds to every fault of a remote, and that do not name the cause."""


def last_words(text: str, lines: int = 3) -> str:
    """The last lines of git's output, in one line, without credentials and control characters."""
    stripped = (line.strip() for line in text.splitlines())
    last = [line for line in stripped if line and line not in _GENERIC_LINES and "% (" not in line][
        -lines:
    ]  # "% (": progress
    scrubbed = re.sub(r"//[^/@\s]*@", "//", " / ".join(last))
    return show_path(scrubbed[-400:].encode("utf-8", "replace"))


_REFUSALS: Final = (
    (
        re.compile(r"workflows?[`'\"]? (?:permission|scope)"),
        "its token may not change workflows",
        "Grant the token the permission to change workflows, or leave them out.",
    ),
    (
        re.compile(r"protected branch|GH006|GH013|rule violations?|protected ref", re.IGNORECASE),
        "its rules protect this branch",
        "Allow Countersign to push branches that begin with countersign/ in those rules.",
    ),
    (
        re.compile(r"permission denied|denied to|not allowed to (?:push|upload)|access denied", re.IGNORECASE),
        "Countersign may not push to it",
        "Grant its key or token the permission to push.",
    ),
    (re.compile(r"hook declined"), "a hook there declined it", "Do what the hook requires, then ask again."),
    (
        re.compile(r"shallow update not allowed"),
        "it is a shallow clone, which accepts no new history",
        "Run `git fetch --unshallow` there, or use the repository it was cloned from.",
    ),
    (
        re.compile(r"unpacker error|unpack failed|missing necessary objects|insufficient permission"),
        "it could not store the commits",
        "Check its disk and the permissions of its folder.",
    ),
)
"""Answers of remotes to a push: a pattern, the reason in our words, and what to do."""
_REASON: Final = re.compile(r"^!\t[^\t]*\t\[[^\]]*\] \((.*)\)$", re.MULTILINE)
_BOILERPLATE: Final = re.compile(r"error: (?:GH\d+:|hook declined|failed to push).*|[-=*# ]*", re.IGNORECASE)


def push_refusal(report: str, err: str, name: str, branch: str) -> PermanentError:
    """The error for a push that the remote's rules refused, with the reason and the remote's own message."""
    reason = match[1] if (match := _REASON.search(report)) else ""
    explanation, mend = next(
        ((explanation, mend) for pattern, explanation, mend in _REFUSALS if pattern.search(f"{reason}\n{err}")),
        (_one_line(reason) or "it gave no reason", "Read its rules, then ask again."),
    )
    remote_lines = (line.partition("remote:")[2].strip() for line in err.splitlines() if line.startswith("remote:"))
    lines = [_one_line(line) for line in remote_lines if line and not _BOILERPLATE.fullmatch(line)]
    quoted = f" Its message: “{' '.join(lines)[:200]}”" if lines else ""
    return PermanentError(
        "push_refused", f"The repository {name} refused the branch {branch}: {explanation}.{quoted}", mend
    )


def _one_line(text: str) -> str:
    """A remote's message in one line, without full reference names, object ids, credentials and control characters."""
    plain = re.sub(r"refs/(?:heads|tags)/", "", re.sub(r"//[^/@\s]*@", "//", text))
    short = re.sub(r"\b([0-9a-f]{7})[0-9a-f]{33}\b", r"\1", plain)
    return show_path(" ".join(short.split())[:300].encode("utf-8", "replace"))
