"""Applies edits to a tree in order; each edit sees the result of those before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from core.model.change import REGULAR
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
    is_glob,
)
from lanes.executors import manifests, text
from lanes.executors.errors import EditError
from lanes.executors.formats import set_key
from lanes.executors.tree import MAX_FILE_BYTES, Overlay, TreeEdit, TreeFiles, matching_paths, suggest_path

__all__ = ["EditError", "TreeEdit", "TreeFiles", "apply_edits"]


def apply_edits(edits: Sequence[Edit], files: TreeFiles) -> TreeEdit:
    """What the edits change in the tree; the result is empty when the tree is already as the edits want it.

    Raises:
        EditError: An edit cannot be made exactly as asked.
    """
    tree = Overlay(files)
    for edit in edits:
        _apply(edit, tree)
    return tree.result()


def _apply(edit: Edit, tree: Overlay) -> None:
    match edit:
        case SetKey(path=path):
            tree.write(path, set_key(edit, tree.content(path)))
        case ReplaceText():
            _replace(edit, tree)
        case AddLine(path=path):
            tree.write(path, text.add_line(edit, _existing_content(tree, path)))
        case RemoveLine(path=path):
            tree.write(path, text.remove_line(edit, tree.content(path)))
        case MoveFile():
            _move(edit, tree)
        case DeleteFile(path):
            tree.require(path)
            tree.remove(path)
        case BumpPackage():
            _bump(edit, tree)
        case CreateFile():
            _create(edit, tree)
        case _:
            assert_never(edit)


def _existing_content(tree: Overlay, path: str) -> bytes:
    """A file's content; if there is no such file, the EditError says how to create it."""
    if not tree.has(path) and not tree.is_folder(path) and not suggest_path(path, tree.paths()):
        raise EditError("no_such_file", f"There is no file {path}", f'To create it, say: create {path} with "…".')
    return tree.content(path)


def _replace(edit: ReplaceText, tree: Overlay) -> None:
    if not is_glob(edit.target):
        content = tree.content(edit.target)
        replaced = _replaced(edit, edit.target, content)
        if replaced is None:
            message = f"{edit.target} does not contain {'the word ' if edit.word else ''}“{_clip(edit.old)}”"
            raise EditError("not_found", message, text.suggest_text(content, edit.old))
        tree.write(edit.target, replaced)
        return
    paths = [path for path in matching_paths(edit.target, tree.paths()) if tree.is_plain(path)]
    if not paths:
        mend = suggest_path(edit.target, tree.paths()) or "Write the glob from the repository's root, such as docs/**."
        raise EditError("no_such_file", f"No file matches {edit.target}", mend)
    hits = 0
    for path in paths:
        if tree.is_text(path) and (replaced := _replaced(edit, path, tree.content(path))) is not None:
            tree.write(path, replaced)
            hits += 1
    if not hits:
        message = f"None of the {len(paths)} files that match {edit.target} contains “{_clip(edit.old)}”"
        raise EditError("not_found", message, "Check the spelling.")


def _replaced(edit: ReplaceText, path: str, content: bytes) -> bytes | None:
    growth = len(edit.new.encode(errors="replace")) - len(edit.old.encode(errors="replace"))
    if growth > 0 and len(content) + growth * (len(content) // len(edit.old)) > MAX_FILE_BYTES:
        count = content.count(edit.old.encode(errors="replace"))
        if len(content) + growth * count > MAX_FILE_BYTES:
            raise EditError("too_large", f"{path} would be larger than {MAX_FILE_BYTES} bytes")
    return text.replace(path, content, edit)


def _move(edit: MoveFile, tree: Overlay) -> None:
    tree.require(edit.source)
    if edit.source == edit.target:
        return
    if tree.is_folder(edit.target):
        name = edit.source.rpartition("/")[2]
        mend = f"Say: move {edit.source} to {edit.target}/{name}."
        raise EditError("exists", f"{edit.target} is a folder", mend)
    content, mode = tree.raw(edit.source), tree.mode(edit.source)
    tree.remove(edit.source)
    tree.require_free(edit.target)
    tree.write(edit.target, content, mode)


def _create(edit: CreateFile, tree: Overlay) -> None:
    content = text.encoded(edit.content)
    if tree.has(edit.path) and tree.is_plain(edit.path) and tree.raw(edit.path) == content:
        return
    tree.require_free(edit.path)
    tree.write(edit.path, content, REGULAR)


def _bump(edit: BumpPackage, tree: Overlay) -> None:
    if edit.path is not None:
        content = tree.content(edit.path)
        if not manifests.is_manifest(edit.path):
            message = f"{edit.path} is not a requirements file, pyproject.toml or package.json"
            raise EditError("unsupported_format", message, "Name the file that lists the package.")
        mentions = manifests.find_mentions(edit.path, content, edit.package)
        tree.write(edit.path, manifests.bump(edit, edit.path, mentions, content))
        return
    by_path = {}
    for path in manifests.find_manifests(tree.paths()):
        try:
            mentions = manifests.find_mentions(path, tree.content(path), edit.package)
        except EditError:
            continue  # skip unreadable manifests; naming one in the request reports its error
        if mentions:
            by_path[path] = mentions
    if not by_path:
        message = f"No requirements file, pyproject.toml or package.json names {edit.package}"
        raise EditError("not_found", message, "Check its name, or add it to the file that should list it.")
    if len(by_path) > 1:
        paths = ", ".join(by_path)
        verb = "pin" if edit.exact else "bump"
        mend = f"Say: {verb} {edit.package} to {edit.version} in {next(iter(by_path))}."
        raise EditError("ambiguous", f"{len(by_path)} files name {edit.package}: {paths}", mend)
    path, mentions = next(iter(by_path.items()))
    tree.write(path, manifests.bump(edit, path, mentions, tree.content(path)))


def _clip(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else line[:79] + "…"
