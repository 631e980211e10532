"""How people and programs name parts of a staged change: by number, path, folder or id, and what to leave out."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from core.model.change import show_path
from core.model.errors import NotFoundError, UsageError
from core.model.hunk_selection import SelectedHunks

MAX_WORDS: Final = 1_000
MAX_NAMES: Final = 10_000
_RANGE: Final = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", re.ASCII)
_WORD: Final = re.compile(r'"([^"]*)"|“([^”]*)”|([^\s,"“”][^\s,]*)')
_NOT: Final = frozenset({"not", "without", "except", "but"})
_JOINING: Final = frozenset({"and", "but"})


@dataclass(frozen=True, slots=True)
class PartChoice:
    """What a person named: `words` in the form of `read_selection`, or `names`, which are ids and paths.

    With `leaves_out` everything but the `names` is kept.
    """

    words: str = ""
    names: tuple[str, ...] = ()
    leaves_out: bool = False

    def numbers(self, parts: Sequence[SelectedHunks]) -> frozenset[int]:
        """The numbers of the parts to keep; raises `UsageError` if none would be left, `NotFoundError` if one is not.

        A name that is not an id or a path of these parts is refused, whatever the others are.
        """
        if not self.names:
            return read_selection(self.words, parts)
        if self.words:
            raise UsageError("bad_pick", "parts are named in two ways", "Name them by words, or by ids and paths.")
        if len(self.names) > MAX_NAMES:
            raise UsageError("bad_pick", f"more than {MAX_NAMES:,} parts are named", "Name whole files.")
        index = _Names(parts)
        named = frozenset(number for name in self.names for number in index.named_exactly(name))
        return _some(index.all - named if self.leaves_out else named)


def read_selection(what: str, parts: Sequence[SelectedHunks]) -> frozenset[int]:
    """The numbers of the parts that people selected.

    `what` is ``1,3-5``, ``docs/a.md``, ``docs/`` (everything in it), the id of a part or ``all``; after ``not`` the
    same for parts to leave out, and with nothing before it, all others. Raises `UsageError` or `NotFoundError` that
    list the parts.
    """
    words = [next(filter(None, groups), "") for groups in _WORD.findall(what)]
    if not words or len(words) > MAX_WORDS:
        raise UsageError("bad_pick", "nothing is selected", "Write for example 1,3-5 or a file's path.")
    at = next((n for n, word in enumerate(words) if word.lower() in _NOT), len(words))
    included, excluded = words[:at], [word for word in words[at:] if word.lower() not in _NOT - _JOINING]
    if at < len(words) and not excluded:
        raise UsageError("bad_pick", "nothing follows `not`", "Write for example 1-5 not 3.")
    index = _Names(parts)
    chosen = index.numbers(included) if included else index.all
    return _some(chosen - index.numbers(excluded))


def _some(chosen: frozenset[int]) -> frozenset[int]:
    if not chosen:
        raise UsageError("bad_pick", "nothing would be left", "Pick at least one hunk, or reject the change.")
    return chosen


class _Names:
    """The parts by every name that they have."""

    def __init__(self, parts: Sequence[SelectedHunks]) -> None:
        self.all = frozenset(part.number for part in parts)
        self._parts = parts
        self._by_path: dict[str, set[int]] = defaultdict(set)
        self._by_id: dict[str, set[int]] = defaultdict(set)
        for part in parts:
            self._by_path[show_path(part.path)].add(part.number)
            for own in {part.id, part.file_id}:
                self._by_id[own].add(part.number)

    def numbers(self, words: Iterable[str]) -> frozenset[int]:
        """The parts that any of the words names."""
        return frozenset(
            number for word in dict.fromkeys(words) if word.lower() not in _JOINING for number in self._named(word)
        )

    def named_exactly(self, name: str) -> Iterable[int]:
        """The parts of an id, or of a file by its whole path."""
        numbers = self._by_id.get(name) or self._by_path.get(name)
        if numbers is None:
            raise self._unknown(name)
        return numbers

    def _named(self, word: str) -> Iterable[int]:
        """The parts that one word names; paths win over numbers, because a file may be called 12."""
        numbers = self._by_path.get(word) or self._by_id.get(word)
        if not numbers and word.endswith("/"):
            numbers = {n for path, inside in self._by_path.items() if path.startswith(word) for n in inside}
        if numbers:
            return numbers
        if word.lower() == "all":
            return self.all
        match = _RANGE.fullmatch(word)
        if match is None:
            raise self._unknown(word)
        first, last = int(match[1]), int(match[2] or match[1])
        if not 1 <= first <= last <= len(self._parts):
            raise NotFoundError("no_such_part", f"{word} is not among the hunks", f"They are 1 to {len(self._parts)}.")
        return range(first, last + 1)

    def _unknown(self, name: str) -> NotFoundError:
        paths = ", ".join(list(self._by_path)[:20])
        what = f"{name[:100]!r} is neither a hunk nor a file of this change"
        return NotFoundError("no_such_part", what, f"Files: {paths}.")
