"""Masking: texts as they may be shown, with every secret that `scan` finds taken out. The one place that does so.

A secret on one line gives way to ``[redacted: RULE]``; of one that is spread over lines, or wrapped, the lines go
whole. A text in which a secret is found all the same is not shown at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from policies.secrets.scan import SecretFinding, leaks_of, scan

_ROUNDS: Final = 4
_SHORTEST: Final = 6
"""A secret that is shorter is hidden with its line, for it may well be a part of other words."""
_MOST_BYTES: Final = 8 * 1024 * 1024
_FILE: Final = "a file of secrets"
_KEYS: Final = ("private-key", "putty-private-key")
_SIDES: Final = (b"+", b"-", b" ")
_HEADERS: Final = (b"+++ ", b"--- ")


@dataclass(slots=True)
class _Hidden:
    """What must not be shown: whole lines, and secrets within lines, each with the rule that found it."""

    lines: dict[bytes, str] = field(default_factory=dict)
    secrets: dict[bytes, str] = field(default_factory=dict)

    def add(self, blob: bytes, leaks: Iterable[SecretFinding]) -> None:
        """Take in what was found in `blob`."""
        lines = blob.split(b"\n")
        for leak in leaks:
            first, last = leak.line - 1, max(leak.line, leak.last) - 1
            if leak.rule in _KEYS:
                ends = (n for n in range(first, len(lines)) if b"-----END" in lines[n] or b"Private-MAC" in lines[n])
                last = next(ends, len(lines) - 1)
            inside = first == last and leak.secret in lines[first : first + 1][0]
            if inside and not leak.how and len(leak.secret) >= _SHORTEST:
                self.secrets.setdefault(leak.secret, leak.rule)
                continue
            self.lines.update((line.strip(), leak.rule) for line in lines[first : last + 1] if line.strip())

    def out_of(self, line: bytes) -> bytes:
        """A line as it may be shown."""
        if (rule := self.lines.get(line.strip())) is not None:
            return _label(rule)
        for secret, rule in self.secrets.items():
            line = line.replace(secret, _label(rule))
        return line


def mask(text: str) -> str:
    """`text` without the secrets that are certain."""
    return mask_bytes(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


def mask_bytes(text: bytes) -> bytes:
    """The same for bytes; a text in which one stays, or that is too long to look through, gives way to a sentence."""
    if len(text) > _MOST_BYTES:
        return b"[redacted: too long to look for secrets]\n"
    for _ in range(_ROUNDS):
        leaks = leaks_of(text)
        if not leaks:
            return text
        hidden = _Hidden()
        hidden.add(text, leaks)
        text = b"\n".join(map(hidden.out_of, text.split(b"\n")))
    return b"[redacted: holds a secret that cannot be cut out]\n" if leaks_of(text) else text


def mask_patch(patch: bytes, blobs: Iterable[bytes], secret_files: Iterable[bytes] = ()) -> bytes:
    """A unified diff as it may be shown: without the secrets of `blobs`, which are its files before and after.

    Guesses count too. Of `secret_files`, such as an ``.env``, no line is shown.
    """
    hidden = _Hidden()
    for blob in blobs:
        found = scan(blob)
        hidden.add(blob, (leak for leak in (*found.new, *found.old) if not (leak.sealed and not leak.how)))
    for blob in secret_files:
        hidden.lines.update((line.strip(), _FILE) for line in blob.split(b"\n") if line.strip())
    return mask_bytes(b"\n".join(_shown(line, hidden) for line in patch.split(b"\n")))


def _shown(line: bytes, hidden: _Hidden) -> bytes:
    """A line of a diff: its side stays, and so do the names of files."""
    if line[:1] in _SIDES and not line.startswith(_HEADERS):
        return line[:1] + hidden.out_of(line[1:])
    return hidden.out_of(line)


def _label(rule: str) -> bytes:
    return f"[redacted: {rule}]".encode()
