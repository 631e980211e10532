"""Checks object ids, branch names and reference names before they become arguments of git."""

from __future__ import annotations

import re
from typing import Final

from core.model.change import show_path
from core.model.errors import Kind, PermanentError

_OID: Final = re.compile(r"[0-9a-f]{40}")
_BRANCH: Final = re.compile(
    r"(?!.*(?:\.\.|//|@\{|\.lock(?:/|$)|/\.|[./]$))[^\x00-\x20\x7f~^:?*\[\\.@/-][^\x00-\x20\x7f~^:?*\[\\]*"
)
_REF: Final = re.compile(r"(?!.*(?:\.\.|//|\.lock(?:/|$)|/\.|[./]$))[A-Za-z0-9][A-Za-z0-9._/-]*")
_MAX_NAME_CHARS: Final = 200


def check_oid(oid: str) -> str:
    """Return `oid` if it is a full object id; raises `PermanentError` for anything else, such as an option of git."""
    if not _OID.fullmatch(oid):
        shown = show_path(oid[:80].encode("utf-8", "replace"))
        raise PermanentError("bad_object_id", f"{shown!r} is not an object id")
    return oid


def check_branch(branch: str) -> str:
    """Return `branch` if it is a safe branch name; raises `PermanentError` otherwise."""
    if not _BRANCH.fullmatch(branch) or len(branch) > _MAX_NAME_CHARS:
        mend = "Name a branch, such as main."
        raise PermanentError("bad_branch", f"{branch[:80]!r} is not a branch name", mend, kind=Kind.USAGE)
    return branch


def own_ref(name: str) -> str:
    """The full name of our reference `name`, below ``refs/countersign/``; raises `ValueError` for an unsafe name."""
    if not _REF.fullmatch(name) or len(name) > _MAX_NAME_CHARS:
        raise ValueError(f"{name!r} cannot name a reference")
    return f"refs/countersign/{name}"
