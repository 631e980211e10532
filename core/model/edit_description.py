"""Edits in words, for the titles of tasks."""

from __future__ import annotations

from core.model.edits import (
    AddLine,
    BumpPackage,
    CreateFile,
    DeleteFile,
    Edit,
    MoveFile,
    RemoveLine,
    ReplaceText,
    SetKey,
)
from core.model.shorten import clipped, quoted


def describe(edit: Edit) -> str:
    """A short phrase for an edit, as a person would write it."""
    match edit:
        case SetKey():
            value = quoted(edit.value) if edit.quoted else clipped(edit.value)
            before = f" from {clipped(edit.was)}" if edit.was is not None else ""
            return f"set {'new key ' if edit.new else ''}{edit.key}{before} to {value} in {edit.path}"
        case ReplaceText(target, old, new, word):
            return f"replace {'the word ' if word else ''}{quoted(old)} with {quoted(new)} in {target}"
        case AddLine(path, line, heading, item):
            under = f" under {quoted(heading)}" if heading is not None else ""
            return f"add the {'bullet' if item else 'line'} {quoted(line)} to {path}{under}"
        case RemoveLine(path, containing, every, whole, word):
            which = "all lines" if every else "the line"
            how = "" if whole else "containing the word " if word else "containing "
            return f"remove {which} {how}{quoted(containing)} from {path}"
        case MoveFile(source, target):
            return f"move {source} to {target if '/' in target or '.' in target else quoted(target)}"
        case DeleteFile(path):
            return f"delete {path}"
        case BumpPackage():
            verb = "pin" if edit.exact else "downgrade" if edit.down else "bump"
            before = f" from {edit.was}" if edit.was is not None else ""
            place = f" in {edit.path}" if edit.path is not None else ""
            return f"{verb} {edit.package}{before} to {edit.version}{place}"
        case CreateFile(path, content):
            return f"create {path} with {quoted(content.removesuffix(chr(10)))}"
