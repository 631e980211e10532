"""Hypothesis strategies: trees that git can hold and people would not write."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import strategies as st

from tests.integration.lanes.origin import Files

_PARTS = [
    b"a", b"b", b"src", b"x b", b"x b\\y", b" ", b" b", b"-n", b"--", b"a\tb", b"a\nb", b"a\rb", b'"q"', b"\xff\xfe",
    b"\xc3\xbc", "\u202egnp".encode(), b"\x1b[31m", b"*", b"?", b"[a]", b"!x", b"#x", b":(top)x", b"~", b"CON", b"x.",
    b".gitignore", b".gitattributes", b"e\xcc\x81", b"\xc3\xa9", b"A", b"long" * 50,
]  # fmt: skip
_CONTENTS = [
    b"", b"one\n", b"one\r\ntwo\r\n", b"no newline", b"\0bin", b"text\n" * 2000 + b"\0", b"$Id$\n", b"a\rb\n", b"*\n",
    b"\xef\xbb\xbfbom\n", b"* text=auto eol=crlf\n", b"* ident filter=evil working-tree-encoding=UTF-16\n",
    b"* -diff export-subst\n", b"*.x binary\n", b"diff --git a/x b/y\n--- a/x\n+++ b/y\n@@ -1 +1 @@\n",
]  # fmt: skip

paths = st.lists(st.sampled_from(_PARTS), min_size=1, max_size=3).map(b"/".join)
contents = st.one_of(st.sampled_from(_CONTENTS), st.binary(max_size=60))
_files = st.tuples(st.sampled_from(["100644", "100755"]), contents)
_links = st.tuples(
    st.just("120000"), st.sampled_from([b"a", b"../../etc/passwd", b"/etc/shadow", b"nowhere\n", b"\xff"])
)
_gitlinks = st.tuples(st.just("160000"), st.sampled_from([b"1" * 40, b"2" * 40]))


def _fit(wanted: dict[bytes, tuple[str, bytes]]) -> Files:
    """Without what cannot be: a file below a file, and special files of git as links."""
    kept: dict[bytes, tuple[str, bytes]] = {}
    for path, entry in sorted(wanted.items()):
        parts = path.split(b"/")
        below = any(b"/".join(parts[:n]) in kept for n in range(1, len(parts)))
        special = entry[0] not in ("100644", "100755") and parts[-1].startswith(b".git")
        if not below and not special:
            kept[path] = entry
    return {p: e for p, e in kept.items() if not any(o.startswith(p + b"/") for o in kept)}


def trees(*, gitlinks: bool) -> st.SearchStrategy[Files]:
    """Trees of up to a dozen entries of every mode."""
    entries = st.one_of(_files, _links, _gitlinks) if gitlinks else st.one_of(_files, _links)
    return st.dictionaries(paths, entries, max_size=12).map(_fit)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Files, Files]:
    """Two trees of which the second keeps, moves, chmods, changes and drops some of the first."""
    first = draw(trees(gitlinks=True))
    second = dict(draw(trees(gitlinks=True)))
    for path, (mode, content) in first.items():
        fate = draw(st.sampled_from(["keep", "drop", "chmod", "move", "replace"]))
        if fate == "keep":
            second[path] = (mode, content)
        elif fate == "chmod" and mode in ("100644", "100755"):
            second[path] = ("100755" if mode == "100644" else "100644", content)
        elif fate == "move":
            second[draw(paths)] = (mode, content)
    return first, _fit(second)


def on_disk(root: Path) -> dict[bytes, tuple[str, bytes]]:
    """What lies below a folder, read without git."""
    found: dict[bytes, tuple[str, bytes]] = {}
    for path in root.rglob("*"):
        name = os.fsencode(path.relative_to(root))
        if path.is_symlink():
            found[name] = ("120000", os.fsencode(os.readlink(path)))  # noqa: PTH115 - a path's text may differ
        elif path.is_file():
            found[name] = ("100755" if path.stat().st_mode & 0o100 else "100644", path.read_bytes())
    return found
