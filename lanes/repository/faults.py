"""What git's complaints mean: one table from its English to errors that tell a person what to do."""

from __future__ import annotations

import re
from typing import Final

from core.model.change import show_path
from core.model.errors import CountersignError, Kind, PermanentError, TransientError
from lanes.repository.command import FILE_BYTES, MIB, memory_of
from lanes.repository.running import GitError, GitFloodError, GitTimeoutError

_NOT_THERE: Final = re.compile(
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
_FULL: Final = re.compile(r"No space left on device|Disk quota exceeded")
_TOO_LARGE: Final = re.compile(
    r"[Oo]ut of memory|Cannot allocate memory|cannot create thread|File too large"
    r"|maximum allowed size|larger than (?:2|4)GB"
)
_CRASHED: Final = re.compile(r"died of signal (?:6|7|11)\b")
_CRASHES: Final = frozenset({-6, -7, -11})
"""Signals that git brings on itself, by what it was made to read."""


def explain(failure: GitError, name: str) -> CountersignError:
    """The error to raise for `failure`, met while working on the repository called `name`."""
    return (
        _explain_end(failure, name)
        or _explain_here(failure, name)
        or _explain_remote(failure, name)
        or _unexpected(failure, name)
    )


def _explain_end(failure: GitError, name: str) -> CountersignError | None:
    """What ended git, if it did not end by itself."""
    if isinstance(failure, GitTimeoutError):
        return TransientError("git_timeout", f"git {failure.verb} on {name} was not done in time", retry_after_s=30)
    if isinstance(failure, GitFloodError):
        return PermanentError("too_large", f"git {failure.verb} on {name} gave {failure.err}", kind=Kind.BLOCKED)
    if _TOO_LARGE.search(failure.err):
        limits = f"{memory_of(failure.verb) // MIB} MiB of memory and files of {FILE_BYTES // MIB} MiB"
        told = f"git {failure.verb} on {name} needs more than it is given, which is {limits}"
        mend = "Something in it is, or unpacks to, more than that: find it with `git cat-file --batch-check`."
        return PermanentError("too_large", told, mend, kind=Kind.BLOCKED)
    if failure.code in _CRASHES or _CRASHED.search(failure.err):
        mend = "Run `git fsck` there: something in it is nested too deeply, or made to break git."
        return PermanentError("repository_corrupt", f"git {failure.verb} crashed on the repository {name}", mend)
    if failure.code < 0:
        # somebody ended it, not git itself: a Ctrl-C reaches it too, in the moment before it has a session of its own
        told = f"git {failure.verb} on {name} was ended by signal {-failure.code}"
        return TransientError("git_killed", told, retry_after_s=0.1)
    return None


def _explain_here(failure: GitError, name: str) -> CountersignError | None:
    """What is wrong on this host, or with what was asked of it."""
    err = failure.err
    if _FULL.search(err):
        mend = "Make room on the disk that holds the state folder."
        return TransientError("disk_full", "The disk is full", mend, retry_after_s=60)
    if failure.verb == "index-pack":
        mend = "It was changed since it was made, or holds what no repository may: make the change anew."
        return PermanentError("bad_pack", f"A pack for {name} is refused: {last_words(err)}", mend)
    if "dubious ownership" in err:
        mend = "Give the repository's folder to the user who runs countersign (chown -R)."
        return PermanentError("foreign_repository", f"The repository {name} belongs to another user", mend)
    if re.search(r"transport '.*' not allowed|protocol '.*' is not supported", err):
        mend = "Give an https:// or ssh:// address, or an absolute path."
        return PermanentError("bad_address", f"The address of {name} is refused", mend, kind=Kind.USAGE)
    if "mismatched algorithms" in err or "object format" in err:
        mend = "Only repositories with SHA-1 object names are served."
        return PermanentError("object_format", f"The repository {name} uses another object format", mend)
    return None


def _explain_remote(failure: GitError, name: str) -> CountersignError | None:
    err, said = failure.err, last_words(failure.err)
    if _CORRUPT.search(err):
        mend = "Run `git fsck` there; what fsck refuses is not taken over."
        return PermanentError("repository_corrupt", f"The repository {name} is damaged: {said}", mend)
    if _NOT_THERE.search(err):
        mend = "Check its address in countersign.yaml."
        return PermanentError("no_such_repository", f"There is no git repository {name}: {said}", mend)
    if _NO_ACCESS.search(err):
        if failure.verb == "push":
            told = f"The repository {name} does not let Countersign push: {said}"
            return PermanentError("no_access", told, "Give its key or token the right to push.")
        mend = "Check the key or token that git uses for it."
        return PermanentError("no_access", f"The repository {name} gives Countersign no access: {said}", mend)
    if LOCKED.search(err):
        return TransientError("git_locked", f"The git store of {name} is busy", retry_after_s=2)
    if _UNREACHABLE.search(err):
        mend = "Nothing is lost; it is tried again."
        return TransientError("remote_unreachable", f"The repository {name} cannot be reached: {said}", mend)
    return None


def _unexpected(failure: GitError, name: str) -> CountersignError:
    said = last_words(failure.err)
    return PermanentError("git_failed", f"git {failure.verb} failed on {name} ({failure.code}): {said}")


_SAID_ALWAYS: Final = frozenset(
    {
        "fatal: Could not read from remote repository.",
        "Please make sure you have the correct access rights",
        "and the repository exists.",
    }
)
"""What git adds to any fault of a remote, and which hides what it was."""


def last_words(text: str, lines: int = 3) -> str:
    """The last lines of what git said, in one line, without credentials and without control characters."""
    said = (line.strip() for line in text.splitlines())
    kept = [line for line in said if line and line not in _SAID_ALWAYS and "% (" not in line][-lines:]  # no progress
    scrubbed = re.sub(r"//[^/@\s]*@", "//", " / ".join(kept))
    return show_path(scrubbed[-400:].encode("utf-8", "replace"))


_REFUSALS: Final = (
    (
        re.compile(r"workflows?[`'\"]? (?:permission|scope)"),
        "its token may not change workflows",
        "Give the token the right to change workflows, or leave them out.",
    ),
    (
        re.compile(r"protected branch|GH006|GH013|rule violations?|protected ref", re.IGNORECASE),
        "its rules protect this branch",
        "Let Countersign push branches that begin with countersign/ in those rules.",
    ),
    (
        re.compile(r"permission denied|denied to|not allowed to (?:push|upload)|access denied", re.IGNORECASE),
        "Countersign may not push to it",
        "Give its key or token the right to push.",
    ),
    (re.compile(r"hook declined"), "a hook there declined it", "Do what the hook asks for, then ask again."),
    (
        re.compile(r"shallow update not allowed"),
        "it is a shallow clone, which takes no new history",
        "Run `git fetch --unshallow` there, or use the repository it was cloned from.",
    ),
    (
        re.compile(r"unpacker error|unpack failed|missing necessary objects|insufficient permission"),
        "it could not store the commits",
        "Look at its disk and at the rights of its folder.",
    ),
)
"""What a remote may answer to a push, in its words and in ours, with the mend."""
_REASON: Final = re.compile(r"^!\t[^\t]*\t\[[^\]]*\] \((.*)\)$", re.MULTILINE)
_BOILERPLATE: Final = re.compile(r"error: (?:GH\d+:|hook declined|failed to push).*|[-=*# ]*", re.IGNORECASE)


def push_refusal(said: str, err: str, name: str, branch: str) -> PermanentError:
    """The error for a push that the remote's own rules refused: why in plain words, and what it said in its own."""
    reason = found[1] if (found := _REASON.search(said)) else ""
    why, mend = next(
        ((ours, mend) for theirs, ours, mend in _REFUSALS if theirs.search(f"{reason}\n{err}")),
        (_in_words(reason) or "it gave no reason", "Read what its rules say, then ask again."),
    )
    told = (line.partition("remote:")[2].strip() for line in err.splitlines() if line.startswith("remote:"))
    words = [_in_words(line) for line in told if line and not _BOILERPLATE.fullmatch(line)]
    quoted = f" It says: “{' '.join(words)[:200]}”" if words else ""
    return PermanentError("push_refused", f"The repository {name} refused the branch {branch}: {why}.{quoted}", mend)


def _in_words(text: str) -> str:
    """What a remote said, in one line, without full reference names, object ids, credentials and control characters."""
    named = re.sub(r"refs/(?:heads|tags)/", "", re.sub(r"//[^/@\s]*@", "//", text))
    short = re.sub(r"\b([0-9a-f]{7})[0-9a-f]{33}\b", r"\1", named)
    return show_path(" ".join(short.split())[:300].encode("utf-8", "replace"))
