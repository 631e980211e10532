"""Masks every secret that `scan` finds in a text for display.

A secret on one line is replaced by ``[redacted: RULE]``; one that spans lines, or is encoded, is replaced with all its
lines. A text that contains a secret even after that is replaced as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from policies.secrets.scan import SecretFinding, leaks_of, scan

_MAX_ROUNDS: Final = 4
_MIN_SECRET_BYTES: Final = 6
"""A shorter secret is masked with its line, because it may be a part of other words."""
_MAX_TEXT_BYTES: Final = 8 * 1024 * 1024
_FILE: Final = "a file of secrets"
_KEYS: Final = ("private-key", "putty-private-key")
_SIDES: Final = (b"+", b"-", b" ")
_HEADERS: Final = (b"+++ ", b"--- ")


@dataclass(slots=True)
class _Hidden:
    """The lines and the secrets within lines to mask, each with the rule that found it."""

    lines: dict[bytes, str] = field(default_factory=dict)
    secrets: dict[bytes, str] = field(default_factory=dict)

    def add(self, blob: bytes, leaks: Iterable[SecretFinding]) -> None:
        """Add the leaks of `blob`."""
        lines = blob.split(b"\n")
        for leak in leaks:
            first, last = leak.line - 1, max(leak.line, leak.last) - 1
            if leak.rule in _KEYS:
                ends = (n for n in range(first, len(lines)) if b"-----END" in lines[n] or b"Private-MAC" in lines[n])
                last = next(ends, len(lines) - 1)
            inside = first == last and leak.secret in lines[first : first + 1][0]
            if inside and not leak.how and len(leak.secret) >= _MIN_SECRET_BYTES:
                self.secrets.setdefault(leak.secret, leak.rule)
                continue
            self.lines.update((line.strip(), leak.rule) for line in lines[first : last + 1] if line.strip())

    def mask_line(self, line: bytes) -> bytes:
        """A line with its secrets replaced."""
        if (rule := self.lines.get(line.strip())) is not None:
            return _label(rule)
        for secret, rule in self.secrets.items():
            line = line.replace(secret, _label(rule))
        return line


def mask(text: str) -> str:
    """`text` with its certain secrets replaced."""
    return mask_bytes(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


def mask_bytes(text: bytes) -> bytes:
    """As `mask`, for bytes; a text that cannot be cleaned, or is too long to scan, is replaced by a sentence."""
    if len(text) > _MAX_TEXT_BYTES:
        return b"[redacted: too long to look for secrets]\n"
    for _ in range(_MAX_ROUNDS):
        leaks = leaks_of(text)
        if not leaks:
            return text
        hidden = _Hidden()
        hidden.add(text, leaks)
        text = b"\n".join(map(hidden.mask_line, text.split(b"\n")))
    return b"[redacted: contains a secret that cannot be cut out]\n" if leaks_of(text) else text


def mask_patch(patch: bytes, blobs: Iterable[bytes], secret_files: Iterable[bytes] = ()) -> bytes:
    """A unified diff with the secrets of `blobs`, its files before and after, replaced.

    Uncertain secrets are replaced too, and all lines of `secret_files`, such as an ``.env``.
    """
    hidden = _Hidden()
    for blob in blobs:
        leaks = scan(blob)
        hidden.add(blob, (leak for leak in (*leaks.new, *leaks.old) if not (leak.sealed and not leak.how)))
    for blob in secret_files:
        hidden.lines.update((line.strip(), _FILE) for line in blob.split(b"\n") if line.strip())
    return mask_bytes(b"\n".join(_mask_diff_line(line, hidden) for line in patch.split(b"\n")))


def _mask_diff_line(line: bytes, hidden: _Hidden) -> bytes:
    """A line of a diff with its secrets replaced; the marks of its side and of files remain."""
    if line[:1] in _SIDES and not line.startswith(_HEADERS):
        return line[:1] + hidden.mask_line(line[1:])
    return hidden.mask_line(line)


def _label(rule: str) -> bytes:
    return f"[redacted: {rule}]".encode()
