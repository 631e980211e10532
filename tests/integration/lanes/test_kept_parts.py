"""Parts that people keep are named by ids, and what they keep is exactly that: the laws of partial approval."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from core.model.change import REGULAR
from core.model.errors import NotFoundError, PermanentError, UsageError
from core.model.hunk_selection import part_id, parts_of, spans_of
from core.model.part_choice import PartChoice
from core.model.part_selection import PartSelection, numbers_in_words
from core.model.staged_diff import digest_of
from lanes.executors.pick import SelectableChange, read_selectable, selected_tree
from tests import campaign
from tests.integration.lanes.forests import pairs
from tests.integration.lanes.test_pick import planted

pytestmark = [pytest.mark.lanes, pytest.mark.law]

FEW = settings(
    max_examples=100 if campaign.WHOLE else 3,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
)
ENDS = st.sampled_from([b"\n", b"\r\n"])
EDITS = st.lists(st.sampled_from(["keep", "drop", "change", "add", "odd"]), min_size=4, max_size=9)


def digest(found: SelectableChange) -> str:
    return digest_of(found.change.repository, found.change.base, found.change.files)


def selection(found: SelectableChange, numbers: set[int]) -> PartSelection:
    ids = tuple(part.id for part in found.parts if part.number in numbers)
    return PartSelection(digest(found), ids, len(found.parts), numbers_in_words(numbers))


def edited(ends: bytes, edits: list[str], at_end: bytes) -> list[tuple[bytes, bytes]]:
    """The lines of a file before and after edits in every tenth line, each a hunk of its own, and another end."""
    pieces: list[tuple[bytes, bytes]] = []
    for n in range(10 * len(edits)):
        line, edit = b"line %d%s" % (n, ends), edits[n // 10] if n % 10 == 4 else "keep"
        after = {
            "keep": line,
            "drop": b"",
            "change": line.upper(),
            "add": line + b"more %d%s" % (n, ends),
            "odd": b"\xff\r\xe2\x80\xa8 %d%s" % (n, ends),
        }[edit]
        pieces.append((line, after))
    last = pieces[-1][0]
    return [*pieces[:-1], (last, last.removesuffix(ends) + at_end)]


def sides(pieces: list[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    return b"".join(before for before, _ in pieces), b"".join(after for _, after in pieces)


@FEW
@given(both=pairs(), edits=EDITS, ends=ENDS, at_end=st.sampled_from([b"", b"\n", b"\r\n"]), random=st.randoms())
async def test_all_parts_are_the_staged_change_none_is_refused_and_some_are_exactly_those(
    repo, both, edits, ends, at_end, random
):
    pieces = edited(ends, edits, at_end)
    before, after = sides(pieces)
    base, tree = planted(repo, {**both[0], b"edited": (REGULAR, before)}, {**both[1], b"edited": (REGULAR, after)})
    found = await read_selectable(repo, base, tree)
    assume(found.parts)
    every = {part.number for part in found.parts}
    whole = await selected_tree(repo, base, tree, selection(found, every))
    assert whole == tree
    assert digest(await read_selectable(repo, base, whole)) == digest(found)
    with pytest.raises(PermanentError):
        await selected_tree(repo, base, tree, selection(found, set()))
    numbers = {number for number in every if random.random() < 0.5}
    assume(numbers)
    try:
        kept = await read_selectable(repo, base, await selected_tree(repo, base, tree, selection(found, numbers)))
    except PermanentError as error:
        assert error.problem.code in ("submodule", "path_conflict", "odd_path")  # noqa: PT017
        return
    chosen = [part for part in found.parts if part.number in numbers]
    assert {file.path for file in kept.change.files} == {part.path for part in chosen}
    staged = {file.path: file for file in found.change.files}
    for file in kept.change.files:
        if file.path != b"edited":
            assert file == staged[file.path], "a whole file has the staged blob and mode"
    spans = [part.span for part in chosen if part.path == b"edited"]
    if spans and None not in spans:
        lines = {n for span in spans if span is not None for n in range(span.old_begin, span.old_end)}
        expected = b"".join(piece[n in lines] for n, piece in enumerate(pieces))
        (made,) = (file for file in kept.change.files if file.path == b"edited")
        assert await repo.read_blob(made.new_blob) == expected


async def test_ids_name_path_modes_contents_and_positions_and_fit_no_other_change(repo):
    before, after = sides(edited(b"\n", ["change", "drop", "add", "keep"], b"\n"))
    base, tree = planted(repo, {b"a": (REGULAR, before)}, {b"a": (REGULAR, after), b"b": (REGULAR, b"new\n")})
    found = await read_selectable(repo, base, tree)
    (file, _), (first, second, *_) = found.change.files, found.parts
    others = [
        part_id(replace(file, path=b"A"), first.span),
        part_id(replace(file, mode="100755"), first.span),
        part_id(replace(file, new_sha256="0" * 64), first.span),
        part_id(replace(file, old_sha256="0" * 64), first.span),
        part_id(file, second.span),
        part_id(file, None),
    ]
    assert len({first.id, *others}) == 7
    assert first.file_id == part_id(file, None)
    assert parts_of(found.change.files, spans_of(await repo.diff_text(base, tree))) == found.parts
    one = selection(found, {1})
    for wrong in (
        replace(one, digest="0" * 64),
        replace(one, ids=(*one.ids, "0" * 20)),
        replace(one, ids=(first.file_id,)),
    ):
        with pytest.raises(PermanentError, match="not those of the staged change"):
            await selected_tree(repo, base, tree, wrong)


async def test_parts_are_named_by_ids_and_paths_kept_or_left_out(repo):
    before, after = sides(edited(b"\n", ["change", "drop", "add", "keep"], b"\n"))
    base, tree = planted(repo, {b"a": (REGULAR, before)}, {b"a": (REGULAR, after), b"b 1": (REGULAR, b"new\n")})
    parts = (await read_selectable(repo, base, tree)).parts
    ids = [part.id for part in parts]
    assert PartChoice(names=(ids[1], "b 1")).numbers(parts) == {2, 4}
    assert PartChoice(names=(ids[1], ids[1]), leaves_out=True).numbers(parts) == {1, 3, 4}
    assert PartChoice(names=(parts[0].file_id,)).numbers(parts) == PartChoice(names=("a",)).numbers(parts) == {1, 2, 3}
    assert PartChoice(f"{ids[0]} 4").numbers(parts) == {1, 4}
    for choice, error in (
        (PartChoice(names=(ids[0], "0" * 20)), NotFoundError),
        (PartChoice(names=("1",)), NotFoundError),  # a number is no name: it fits every diff
        (PartChoice(names=("a", "b 1"), leaves_out=True), UsageError),
        (PartChoice("1", (ids[0],)), UsageError),
        (PartChoice(), UsageError),
        (PartChoice(names=("a",) * 10_001), UsageError),
    ):
        with pytest.raises(error):
            choice.numbers(parts)


@given(st.sets(st.integers(1, 60), min_size=1))
def test_numbers_in_words_are_read_as_the_same_numbers(numbers):
    read: set[int] = set()
    for run in numbers_in_words(numbers).split(","):
        first, _, last = run.partition("-")
        read |= set(range(int(first), int(last or first) + 1))
    assert read == numbers
