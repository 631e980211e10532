"""The exception of edits that cannot be made, with a suggestion what to ask instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from core.model.errors import PermanentError


class EditError(PermanentError):
    """An edit that cannot be made as asked: a stable code, what and where, and what to ask instead.

    Codes: no_such_file, no_such_key, not_found, exists, bad_value, unsupported_format, unparsable_file,
    ambiguous, too_large.
    """

    @property
    def code(self) -> str:
        """The stable reason code."""
        return self.problem.code

    @property
    def message(self) -> str:
        """What cannot be done and where."""
        return self.problem.message

    @property
    def mend(self) -> str:
        """What to ask instead; may be empty."""
        return str(self.problem.mend)


def did_you_mean(word: str, choices: Iterable[str], *, cutoff: float = 0.7) -> str:
    """`Did you mean …?` with at most three near matches, or an empty string."""
    near = difflib.get_close_matches(word, list(choices)[:5000], n=3, cutoff=cutoff)
    return f"Did you mean {' or '.join(near)}?" if near else ""
