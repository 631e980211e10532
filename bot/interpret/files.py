"""A repository's files as a model is shown them: those the request speaks of, and a summary of the rest."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from bot.interpret.grammar.tokens import hidden_character

_WORD: Final = re.compile(r"[^\W_]{3,}")
_MAX_WORDS: Final = 40
_NAMED_SHARE: Final = 0.6
_COMMON: Final = frozenset(
    {"the", "and", "for", "with", "from", "that", "this", "file", "files", "please", "add", "set"}
)


def list_files_for_prompt(paths: Sequence[str], request: str, room_chars: int) -> str:
    """`paths` in at most about `room_chars`: all of them where they fit.

    Else first those in which words of the request occur, the best first, and then how many files each folder holds.
    Every path is a JSON string, so that no name can pose as anything else (security.md 91).
    """
    if sum(len(path) + 3 for path in paths) <= room_chars:
        whole = "\n".join(map(_quoted, paths))
        if len(whole) <= room_chars:
            return whole
    named = list(_within(_named(paths, request), int(room_chars * _NAMED_SHARE)))
    left = room_chars - sum(map(len, named))
    folders = list(_within(_folders(paths), left))
    heading = f"There are {len(paths)} files. Those that the request may speak of:"
    return "\n".join([heading, *(named or ["none by name"]), "Files in each folder:", *folders])


def _named(paths: Sequence[str], request: str) -> list[str]:
    """The paths in which words of the request occur, those with the most and the weightiest first."""
    words = [word for word in dict.fromkeys(_WORD.findall(request.casefold())) if word not in _COMMON][:_MAX_WORDS]
    scored = ((_score(path.casefold(), words), path) for path in paths)
    found = sorted((-score, len(path), path) for score, path in scored if score)
    return [_quoted(path) for _, _, path in found]


def _score(path: str, words: Sequence[str]) -> int:
    """Four points for each word of the request in the file's name, one for each in its folders."""
    hits = [word for word in words if word in path]
    if not hits:
        return 0
    name = path.rpartition("/")[2]
    return sum(4 if word in name else 1 for word in hits)


def _folders(paths: Sequence[str]) -> list[str]:
    """How many files the folders of the first two levels hold, the larger first."""
    counts = Counter("/".join(path.split("/")[:-1][:2]) for path in paths)
    return [f"{_quoted(folder + '/' if folder else './')}: {count}" for folder, count in counts.most_common()]


def _within(lines: Iterable[str], room_chars: int) -> Iterable[str]:
    for line in lines:
        room_chars -= len(line) + 1
        if room_chars < 0:
            return
        yield line


def _quoted(path: str) -> str:
    return json.dumps(path, ensure_ascii=bool(hidden_character(path)))
