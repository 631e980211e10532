"""Verbs about whole files: rename, move, delete, create."""

from __future__ import annotations

import re
from collections.abc import Callable

from bot.interpret.grammar.breaks import unescape_breaks
from bot.interpret.grammar.clause import Clause, as_path, is_known_file, positions_of
from bot.interpret.grammar.tokens import Token, UnclearClause
from core.model.edits import CreateFile, DeleteFile, Edit, MoveFile, is_glob

_NAME = re.compile(r"\w[\w-]*")
_MOVE = "rename docs/old.md to docs/new.md"
_DELETE = "delete old.txt"
_REMOVE = 'remove the line containing "foo" from a.txt'
_CREATE = 'create docs/x.md with "# Hello"'


def move(clause: Clause) -> tuple[Edit, ...]:
    """rename or move FILE to FILE, or to FOLDER/."""
    words = clause.skip("the", "file").words
    parts = positions_of(words, "to", "into", "as", "->", "=>", "→")
    if len(parts) != 1:
        raise UnclearClause("I do not see which file goes where.", _MOVE)
    to_words = [w for w in words[parts[0] + 1 :] if w.is_quoted or w.plain not in ("the", "folder", "directory", "file")]
    is_folder = bool(positions_of(words[parts[0] + 1 :], "folder", "directory"))
    from_words = words[: parts[0]]
    if len(from_words) > 1 and from_words[-1].plain == "file":
        from_words = from_words[:-1]
    if len(from_words) != 1 or len(to_words) != 1:
        raise UnclearClause("I do not see which file goes where.", _MOVE, 'replace "old" with "new" in FILE')
    source = as_path(from_words[0])
    word = to_words[0]
    name = word.text.rstrip(",")
    target = as_path(word) or (name if source and _NAME.fullmatch(name) else None)
    if source is None or target is None:
        raise UnclearClause("That does not look like a file; quote a path that has no ending.", _MOVE)
    if not (word.is_text or is_folder or "/" in target or is_known_file(target)):
        ways = (f"move {source} to {target}/", f'move {source} to "{target}"')
        raise UnclearClause(f"{target} may be a folder, or a file without an ending.", *ways)
    if is_glob(source) or is_glob(target) or source.endswith("/"):
        raise UnclearClause("I can move one file at a time.", _MOVE)
    folder, _, name = source.rpartition("/")
    if target.endswith("/") or is_folder:
        target = target.rstrip("/") + "/" + name
    elif clause.verb == "rename" and folder and "/" not in target:
        top = target if is_known_file(target) else f'"{target}"'
        both = (f"rename {source} to {folder}/{target}", f"move {source} to {top}")
        raise UnclearClause(f"{target} may be in {folder} or at the top.", *both)
    return (MoveFile(source, target),)


def delete(clause: Clause) -> tuple[Edit, ...]:
    """delete FILE, or several files joined by and."""
    words = [word for word in clause.skip("the", "file", "files", "this").words if word.plain not in ("and", "&")]
    if words and words[-1].plain == "file":
        words = words[:-1]
    paths = [as_path(word) for word in words]
    if not paths or clause.lead is not None or any(path is None for path in paths):
        raise UnclearClause("I can delete a file, or one line of it.", _DELETE, _REMOVE)
    named = [path for path in paths if path is not None]
    if any(is_glob(path) or path.endswith("/") for path in named):
        raise UnclearClause("I delete files by their full names only, no patterns and no folders.", _DELETE)
    return tuple(DeleteFile(path) for path in named)


def create(clause: Clause) -> tuple[Edit, ...]:
    """create FILE with "content", or create an empty file FILE."""
    words = list(clause.words)
    empty = bool(words) and any(word.plain == "empty" for word in words[:3])
    while words and words[0].plain in ("a", "an", "the", "new", "empty", "file", "called", "named", "at"):
        words.pop(0)
    if words and words[0].plain in ("with", "containing", "saying"):
        words = _turned(words)
    path = as_path(words[0]) if words else None
    if path is None or is_glob(path) or path.endswith("/"):
        raise UnclearClause("I do not see the path of the file to create.", _CREATE)
    rest = [word for word in words[1:] if word.is_quoted or word.plain.strip(":") not in _WITH]
    if empty and not rest:
        return (CreateFile(path, ""),)
    if empty or len(rest) != 1 or not rest[0].is_quoted:
        raise UnclearClause("Put the whole content of the new file in one pair of quotes.", _CREATE)
    content = unescape_breaks(clause.text, rest[0])
    return (CreateFile(path, content if not content or content.endswith("\n") else content + "\n"),)


_WITH = frozenset(
    [
        "with",
        "containing",
        "saying",
        "content",
        "contents",
        "text",
        "the",
        "a",
        "line",
        "that",
        "says",
        "reads",
        "which",
        "contains",
        "and",
        "as",
        "follows",
    ]
) | {""}


def _turned(words: list[Token]) -> list[Token]:
    """`with "content" at FILE` turned to `FILE with "content"`."""
    quoted = next((at for at, word in enumerate(words) if word.is_quoted), None)
    if quoted is None:
        return []
    after = [
        word for word in words[quoted + 1 :] if word.plain not in ("at", "in", "as", "called", "named", "to", "file")
    ]
    return [*after, *words[: quoted + 1]]


VERBS: dict[str, Callable[[Clause], tuple[Edit, ...]]] = {
    **dict.fromkeys(("rename", "move"), move),
    **dict.fromkeys(("create", "make"), create),
}
