"""A repository's file names for a prompt: those that the request may mean, and a summary of the rest."""

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


def list_files_for_prompt(paths: Sequence[str], request: str, max_chars: int) -> str:
    """`paths` in about `max_chars`: all of them if they fit.

    Otherwise the paths that contain words of the request, best matches first, then the number of files per folder.
    Every path is a JSON string, so that no name can look like anything else (security.md 91).
    """
    if sum(len(path) + 3 for path in paths) <= max_chars:
        whole = "\n".join(map(_quoted, paths))
        if len(whole) <= max_chars:
            return whole
    matching = list(_take_while_fitting(_matching(paths, request), int(max_chars * _NAMED_SHARE)))
    remaining = max_chars - sum(map(len, matching))
    folders = list(_take_while_fitting(_folders(paths), remaining))
    heading = f"There are {len(paths)} files. Those that the request may refer to:"
    return "\n".join([heading, *(matching or ["none by name"]), "Files in each folder:", *folders])


def _matching(paths: Sequence[str], request: str) -> list[str]:
    """The paths that contain words of the request, those with the most and best matches first."""
    words = [word for word in dict.fromkeys(_WORD.findall(request.casefold())) if word not in _COMMON][:_MAX_WORDS]
    scored = ((_score(path.casefold(), words), path) for path in paths)
    matches = sorted((-score, len(path), path) for score, path in scored if score)
    return [_quoted(path) for _, _, path in matches]


def _score(path: str, words: Sequence[str]) -> int:
    """Four points for each word of the request in the file's name, one for each in its folders."""
    hits = [word for word in words if word in path]
    if not hits:
        return 0
    name = path.rpartition("/")[2]
    return sum(4 if word in name else 1 for word in hits)


def _folders(paths: Sequence[str]) -> list[str]:
    """The number of files in the folders of the first two levels, the largest first."""
    counts = Counter("/".join(path.split("/")[:-1][:2]) for path in paths)
    return [f"{_quoted(folder + '/' if folder else './')}: {count}" for folder, count in counts.most_common()]


def _take_while_fitting(lines: Iterable[str], max_chars: int) -> Iterable[str]:
    for line in lines:
        max_chars -= len(line) + 1
        if max_chars < 0:
            return
        yield line


def _quoted(path: str) -> str:
    return json.dumps(path, ensure_ascii=bool(hidden_character(path)))
