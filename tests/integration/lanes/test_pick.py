"""Picking hunks: what is picked is exactly that, byte for byte, and nothing of the rest."""

from __future__ import annotations

import difflib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.model.change import EXECUTABLE, REGULAR, SYMLINK
from core.model.errors import NotFoundError, PermanentError, UsageError
from core.model.hunk_selection import HunkSpan, SelectedHunks, lines_of, parts_of, spans_of, subset
from core.model.part_choice import read_selection
from lanes.executors.pick import picked_tree, read_selectable, subset_tree
from tests import campaign
from tests.builders import added_file, file_change
from tests.integration.lanes import origin
from tests.integration.lanes.forests import pairs

pytestmark = [pytest.mark.lanes, pytest.mark.surfaces]

LINES = st.sampled_from(
    [b"a", b"b", b"c\r", b"", b"\xff\xfe", b"a\rb", b"\x0c", b"@@ -1 +1 @@", b"diff --git a/x b/y", b"--- a/x",
     b"+++ b/x", b"\\ No newline at end of file", b"index 1..2", "\u2028x".encode(), b"-", b"+", b" "]
)  # fmt: skip
FILES = st.tuples(st.lists(LINES, max_size=30).map(b"\n".join), st.sampled_from([b"", b"\n", b"\r\n"])).map(b"".join)


def spans_between(old: bytes, new: bytes) -> list[HunkSpan]:
    """Hunks without context, by someone else's diff."""
    opcodes = difflib.SequenceMatcher(None, lines_of(old), lines_of(new), autojunk=False).get_opcodes()
    return [HunkSpan(a, b, c, d) for tag, a, b, c, d in opcodes if tag != "equal"]


@given(FILES, FILES, st.data())
def test_all_hunks_are_the_new_file_none_the_old_and_the_rest_completes_any_choice(old, new, draw):
    spans = spans_between(old, new)
    assert subset(old, new, spans, spans) == new
    assert subset(old, new, spans, []) == old
    picked = [span for span in spans if draw.draw(st.booleans())]
    between = subset(old, new, spans, picked)
    shift, rest = 0, []
    for span in spans:
        if span in picked:
            shift += (span.new_end - span.new_begin) - (span.old_end - span.old_begin)
        else:
            rest.append(HunkSpan(span.old_begin + shift, span.old_end + shift, span.new_begin, span.new_end))
    assert subset(between, new, rest, rest) == new


@given(FILES, FILES, st.lists(st.builds(HunkSpan, *[st.integers(0, 12)] * 4), max_size=4))
def test_hunks_that_lie_are_refused(old, new, spans):
    try:
        assert subset(old, new, spans, spans) == new
        assert subset(old, new, spans, []) == old
    except PermanentError as error:
        assert error.problem.code == "bad_hunks"  # noqa: PT017


@given(st.binary(max_size=300) | st.lists(LINES, max_size=40).map(b"\n".join))
def test_any_text_as_a_diff_gives_hunks_or_none(diff):
    for spans in spans_of(diff).values():
        assert all(isinstance(span, HunkSpan) for span in spans)


BASE = b"".join(b"line %d\r\n" % n for n in range(60)) + b"\xffend"
NEW = BASE.replace(b"line 3\r", b"LINE 3\r").replace(b"line 30\r\n", b"").replace(b"\xffend", b"\xfeend\nmore")


def planted(repo, base, new):
    """A commit of the first files, and the tree of the second."""
    at = repo.store.path
    repo.store.ensure()
    return origin.commit(at, origin.plant(at, base)), origin.plant(at, new)


async def content(repo, tree, path):
    return await repo.read_blob((await repo.list_paths(tree))[path][1])


async def test_one_hunk_of_three_is_made_of_the_files_own_bytes(repo):
    base, tree = planted(repo, {b"a": (REGULAR, BASE)}, {b"a": (REGULAR, NEW)})
    found = await read_selectable(repo, base, tree)
    assert [part.number for part in found.parts] == [1, 2, 3]
    assert [part.label for part in found.parts][:1] == ["1: a, lines 1-7"]
    one = await subset_tree(repo, found, {1})
    assert await content(repo, one, b"a") == BASE.replace(b"line 3\r", b"LINE 3\r")
    last = await subset_tree(repo, found, {3})
    assert await content(repo, last, b"a") == BASE.replace(b"\xffend", b"\xfeend\nmore")
    middle = await picked_tree(repo, base, tree, "not 1,3")
    assert await content(repo, middle, b"a") == BASE.replace(b"line 30\r\n", b"")


async def test_the_rest_applied_to_a_choice_gives_the_staged_tree(repo):
    base, tree = planted(repo, {b"a": (REGULAR, BASE)}, {b"a": (REGULAR, NEW)})
    chosen = await picked_tree(repo, base, tree, "1,2")
    onward = await read_selectable(repo, origin.commit(repo.store.path, chosen), tree)
    assert len(onward.parts) == 1
    assert await subset_tree(repo, onward, {1}) == tree


async def test_what_is_more_than_lines_is_picked_whole(repo):
    many = b"".join(b"%d\n" % n for n in range(50))
    changed = many.replace(b"5\n", b"x\n", 1).replace(b"45\n", b"y\n")
    base = {
        b"binary": (REGULAR, many + b"\0"),
        b"gone": (REGULAR, many),
        b"link": (SYMLINK, b"a"),
        b"mode": (REGULAR, many),
        b"moved": (REGULAR, b"moved\n" * 9),
        b"kind": (REGULAR, b"target"),
        b"zz": (REGULAR, many),
    }
    new = {
        b"binary": (REGULAR, changed + b"\0"),
        b"fresh": (REGULAR, many),
        b"link": (SYMLINK, b"b"),
        b"mode": (EXECUTABLE, changed),
        b"where": (REGULAR, b"moved\n" * 9),
        b"kind": (SYMLINK, b"target"),
        b"zz": (REGULAR, changed),
    }
    commit, tree = planted(repo, base, new)
    found = await read_selectable(repo, commit, tree)
    hunks = [part.path for part in found.parts if part.span is not None]
    assert hunks == [b"zz", b"zz"]
    for part in found.parts:
        only = await subset_tree(repo, found, {part.number})
        change = await repo.change(commit, only)
        (file,) = change.files
        assert file.path == part.path
        if part.span is None:
            listed, wanted = await repo.list_paths(only), await repo.list_paths(tree)
            assert listed.get(part.path) == wanted.get(part.path)


async def test_names_that_fool_diff_readers_do_not_fool_this(repo):
    evil = b".github/workflows/x b/src/ok.yml"
    base = {evil: (REGULAR, BASE), b"src/ok.yml": (REGULAR, b"ok\n"), b"\xff\n": (REGULAR, BASE + b"1")}
    new = {evil: (REGULAR, NEW), b"src/ok.yml": (REGULAR, b"OK\n"), b"\xff\n": (REGULAR, NEW + b"1")}
    commit, tree = planted(repo, base, new)
    only = await picked_tree(repo, commit, tree, "src/ok.yml")
    assert [file.path for file in (await repo.change(commit, only)).files] == [b"src/ok.yml"]
    odd = await picked_tree(repo, commit, tree, r"\xff\x0a")
    assert [file.path for file in (await repo.change(commit, odd)).files] == [b"\xff\n"]


async def test_a_file_in_a_folder_that_is_still_a_file_cannot_be_picked_alone(repo):
    commit, tree = planted(repo, {b"a": (REGULAR, b"x\n")}, {b"a/b": (REGULAR, b"x\n")})
    with pytest.raises(PermanentError):
        await picked_tree(repo, commit, tree, "a/b")
    assert await picked_tree(repo, commit, tree, "all") == tree


async def test_a_submodule_is_picked_with_all_or_not_at_all(repo):
    commit, tree = planted(repo, {b"a": (REGULAR, b"x\n")}, {b"a": (REGULAR, b"y\n"), b"s": ("160000", b"4" * 40)})
    with pytest.raises(PermanentError, match="submodule"):
        await picked_tree(repo, commit, tree, "s")
    assert [f.path for f in (await repo.change(commit, await picked_tree(repo, commit, tree, "a"))).files] == [b"a"]


@settings(
    max_examples=25 if campaign.WHOLE else 8, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(pairs(), st.randoms(use_true_random=False))
async def test_any_choice_of_any_trees_holds_what_was_chosen_and_the_base_elsewhere(repo, both, random):
    commit, tree = planted(repo, *both)
    found = await read_selectable(repo, commit, tree)
    every = {part.number for part in found.parts}
    assert await subset_tree(repo, found, every) == tree
    assert await subset_tree(repo, found, set()) == await repo.tree_of(commit)
    numbers = {number for number in every if random.random() < 0.5}
    try:
        made = await repo.list_paths(await subset_tree(repo, found, numbers))
    except PermanentError as error:
        assert error.problem.code in ("submodule", "path_conflict", "odd_path")  # noqa: PT017
        return
    before, after = await repo.list_paths(await repo.tree_of(commit)), await repo.list_paths(tree)
    whole = {part.path: part.number in numbers for part in found.parts if part.span is None}
    parted = {part.path for part in found.parts if part.span is not None}
    for path in {*before, *after, *made} - parted:
        side = after if whole.get(path) else before
        assert made.get(path) == side.get(path), path


def test_numbers_follow_paths_and_lines_whatever_order_they_come_in():
    spans = {("1" * 40, "2" * 40): (HunkSpan(0, 1, 0, 1), HunkSpan(5, 6, 5, 6))}
    files = [file_change("b"), added_file("c"), file_change("a", new_blob="3" * 40)]
    parts = parts_of(files, spans)
    assert [(part.number, part.path, part.span is None) for part in parts] == [
        (1, b"a", True),
        (2, b"b", False),
        (3, b"b", False),
        (4, b"c", True),
    ]
    assert parts_of(reversed(files), spans) == parts


PARTS = (
    SelectedHunks(1, b"docs/a.md", HunkSpan(0, 1, 0, 1), "1a" * 10, "fa" * 10),
    SelectedHunks(2, b"docs/a.md", HunkSpan(5, 6, 5, 6), "2a" * 10, "fa" * 10),
    SelectedHunks(3, b"docs/b c.md", None, "fb" * 10, "fb" * 10),
    SelectedHunks(4, b"src/x.py", None, "fc" * 10, "fc" * 10),
    SelectedHunks(5, b"12", None, "fd" * 10, "fd" * 10),
)


@pytest.mark.parametrize(
    ("what", "numbers"),
    [
        ("1", {1}),
        ("1,3-5", {1, 3, 4, 5}),
        ("1 3 and 4", {1, 3, 4}),
        ("1, 3", {1, 3}),
        ("docs/a.md", {1, 2}),
        ("docs/", {1, 2, 3}),
        ('"docs/b c.md"', {3}),
        ("“docs/b c.md”, 1", {1, 3}),
        ("12", {5}),
        ("all", {1, 2, 3, 4, 5}),
        ("not 2", {1, 3, 4, 5}),
        ("all but 2", {1, 3, 4, 5}),
        ("docs/a.md not 2", {1}),
        ("1-5 NOT docs/ 12", {4}),
        ("all except not 4", {1, 2, 3, 5}),
    ],
)
def test_what_people_name_is_picked(what, numbers):
    assert read_selection(what, PARTS) == numbers


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("", UsageError),
        (" , ", UsageError),
        ("1 not", UsageError),
        ("1 not 1", UsageError),
        ("not all", UsageError),
        ("0", NotFoundError),
        ("6", NotFoundError),
        ("3-1", NotFoundError),
        ("1-99999999999", NotFoundError),
        ("docs", NotFoundError),
        ("a.md", NotFoundError),
        ("1;2", NotFoundError),
        ("x " * 1001, UsageError),
    ],
)
def test_what_names_nothing_is_told(what, error):
    with pytest.raises(error) as caught:
        read_selection(what, PARTS)
    assert caught.value.problem.mend


@given(st.text(max_size=80))
def test_any_selection_is_a_choice_or_refused(what):
    try:
        chosen = read_selection(what, PARTS)
    except (UsageError, NotFoundError):
        return
    assert chosen
    assert chosen <= {1, 2, 3, 4, 5}
