"""Verbs about whole files: rename, move, delete, create."""

from __future__ import annotations

import re
from collections.abc import Callable

from bot.interpret.grammar.clause import Clause, as_path, is_known_file, positions_of
from bot.interpret.grammar.tokens import Token, UnclearClause, unescape_breaks
from core.model.edits import CreateFile, DeleteFile, Edit, MoveFile, is_glob

_NAME = re.compile(r"\w[\w-]*")
_MOVE = "rename docs/old.md to docs/new.md"
_DELETE = "delete old.txt"
_REMOVE = 'remove the line containing "foo" from a.txt'
_CREATE = 'create docs/x.md with "# Hello"'


def move(clause: Clause) -> tuple[Edit, ...]:
    """rename or move FILE to FILE, or to FOLDER/."""
    words = clause.skip("the", "file").words
    separators = positions_of(words, "to", "into", "as", "->", "=>", "→")
    if len(separators) != 1:
        raise UnclearClause("I do not see which file goes where.", _MOVE)
    target_tokens = [
        w for w in words[separators[0] + 1 :] if w.is_quoted or w.plain not in ("the", "folder", "directory", "file")
    ]
    is_folder = bool(positions_of(words[separators[0] + 1 :], "folder", "directory"))
    source_tokens = words[: separators[0]]
    if len(source_tokens) > 1 and source_tokens[-1].plain == "file":
        source_tokens = source_tokens[:-1]
    if len(source_tokens) != 1 or len(target_tokens) != 1:
        raise UnclearClause("I do not see which file goes where.", _MOVE, 'replace "old" with "new" in FILE')
    source = as_path(source_tokens[0])
    word = target_tokens[0]
    name = word.text.rstrip(",")
    target = as_path(word) or (name if source and _NAME.fullmatch(name) else None)
    if source is None or target is None:
        raise UnclearClause("That does not look like a file; quote a path that has no ending.", _MOVE)
    if not (word.is_text or is_folder or "/" in target or is_known_file(target)):
        options = (f"move {source} to {target}/", f'move {source} to "{target}"')
        raise UnclearClause(f"{target} may be a folder, or a file without an ending.", *options)
    if is_glob(source) or is_glob(target) or source.endswith("/"):
        raise UnclearClause("I can move one file at a time.", _MOVE)
    folder, _, name = source.rpartition("/")
    if target.endswith("/") or is_folder:
        target = target.rstrip("/") + "/" + name
    elif clause.verb == "rename" and folder and "/" not in target:
        top = target if is_known_file(target) else f'"{target}"'
        options_both = (f"rename {source} to {folder}/{target}", f"move {source} to {top}")
        raise UnclearClause(f"{target} may be in {folder} or at the top.", *options_both)
    return (MoveFile(source, target),)


def delete(clause: Clause) -> tuple[Edit, ...]:
    """delete FILE, or several files joined by and."""
    words = [word for word in clause.skip("the", "file", "files", "this").words if word.plain not in ("and", "&")]
    if words and words[-1].plain == "file":
        words = words[:-1]
    paths = [as_path(word) for word in words]
    if not paths or clause.lead is not None or any(path is None for path in paths):
        raise UnclearClause("I can delete a file, or one line of it.", _DELETE, _REMOVE)
    found_paths = [path for path in paths if path is not None]
    if any(is_glob(path) or path.endswith("/") for path in found_paths):
        raise UnclearClause("I delete files by their full names only, no patterns and no folders.", _DELETE)
    return tuple(DeleteFile(path) for path in found_paths)


def create(clause: Clause) -> tuple[Edit, ...]:
    """create FILE with "content", or create an empty file FILE."""
    words = list(clause.words)
    is_empty = bool(words) and any(word.plain == "empty" for word in words[:3])
    while words and words[0].plain in ("a", "an", "the", "new", "empty", "file", "called", "named", "at"):
        words.pop(0)
    if words and words[0].plain in ("with", "containing", "saying"):
        words = _file_first(words)
    path = as_path(words[0]) if words else None
    if path is None or is_glob(path) or path.endswith("/"):
        raise UnclearClause("I do not see the path of the file to create.", _CREATE)
    rest = [word for word in words[1:] if word.is_quoted or word.plain.strip(":") not in _WITH]
    if is_empty and not rest:
        return (CreateFile(path, ""),)
    if is_empty or len(rest) != 1 or not rest[0].is_quoted:
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


def _file_first(words: list[Token]) -> list[Token]:
    """`with "content" at FILE` reordered to `FILE with "content"`."""
    position = next((index for index, word in enumerate(words) if word.is_quoted), None)
    if position is None:
        return []
    rest = [
        word for word in words[position + 1 :] if word.plain not in ("at", "in", "as", "called", "named", "to", "file")
    ]
    return [*rest, *words[: position + 1]]


VERBS: dict[str, Callable[[Clause], tuple[Edit, ...]]] = {
    **dict.fromkeys(("rename", "move"), move),
    **dict.fromkeys(("create", "make"), create),
}
