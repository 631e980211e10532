"""Finds every secret in a blob and reports its line, never the secret itself.

Context lines count like added ones (security.md 84), and nothing in the blob can switch the scan off (87). Time is
linear in the blob: RE2 for our own patterns, and detect-secrets on a part of limited size (90).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import chain
from typing import Final

from policies.secrets import plugins
from policies.secrets.examples import documented_in
from policies.secrets.hints import HintIndex
from policies.secrets.imported import ImportedRule, imported_rules
from policies.secrets.patterns import SENTENCES, VENDORS, Pattern, looks_random
from policies.secrets.unwrap import EncodedLayer, TextLines, layers, opened, sealed_kind, sealed_within

_SEAMS: Final = b" \t\r\n\"'`+&,\\#*"


@dataclass(frozen=True, slots=True)
class SecretFinding:
    """A secret: the rule that found it, its first line (from 1), `how` it was encoded, and its `last` line.

    A person must look at a leak that is not `certain`; a `sealed` one is an archive that cannot be inspected; one with
    an `example` is a key that this documentation prints. The secret itself is for comparisons and is never shown.
    """

    rule: str
    line: int
    certain: bool = True
    sealed: bool = False
    how: str = ""
    last: int = 0
    secret: bytes = field(default=b"", repr=False)
    example: str = ""

    @property
    def fingerprint(self) -> str:
        """What names the secret in an operator's baseline: the SHA-256 of its bytes."""
        return hashlib.sha256(self.secret).hexdigest()

    def sentence(self) -> str:
        """The leak for display, without the secret."""
        return f"{self.rule}{self.how} on line {self.line}"


@dataclass(frozen=True, slots=True)
class SecretScan:
    """The new leaks of a blob, and those that were in it before."""

    new: tuple[SecretFinding, ...] = ()
    old: tuple[SecretFinding, ...] = ()


def scan(blob: bytes, before: bytes = b"") -> SecretScan:
    """All secrets of `blob`, with those that `before` contains separated from the new ones.

    An archive or compressed piece counts as a sealed leak, because it cannot be inspected.
    """
    by_patterns = _find(blob)
    known = {leak.secret for leak in _find(before)} if by_patterns and before else set()
    leaks = [*by_patterns, *_detected(blob, before, {leak.line for leak in by_patterns})]
    new = tuple(leak for leak in leaks if leak.secret not in known)
    return SecretScan(new, tuple(leak for leak in leaks if leak.secret in known))


def leaks_in(text: str) -> tuple[SecretFinding, ...]:
    """The certain secrets of a short text such as a title, a commit message or a file name."""
    return leaks_of(text.encode("utf-8", "surrogateescape"))


def leaks_of(text: bytes) -> tuple[SecretFinding, ...]:
    """As `leaks_in`, for bytes."""
    return tuple(leak for leak in _find(text) if leak.certain)


def _find(blob: bytes) -> list[SecretFinding]:
    """The matches of our patterns in every decoding of `blob`, and the archives in it."""
    if kind := sealed_kind(blob):
        return [SecretFinding(f"a {kind} archive", 1, sealed=True, secret=blob), *_unwrapped(opened(blob), ())]
    lines, leaks = TextLines(blob), dict[tuple[str, bytes], SecretFinding]()
    for pattern, position, secret in _named_once(_matches("plain", blob)):
        last = lines.at(position + max(len(secret), 1) - 1)
        leak = SecretFinding(pattern.name, lines.at(position), pattern.certain, last=last, secret=secret)
        leaks.setdefault((leak.rule, secret), leak)
    plain = tuple(leak.secret.translate(None, _SEAMS) for leak in leaks.values())
    for leak in _unwrapped(chain(layers(blob), opened(blob)), plain):
        leaks.setdefault((leak.rule, leak.secret), leak)
    return [_judged(leak) for leak in leaks.values()]


def _judged(leak: SecretFinding) -> SecretFinding:
    """A leak with its `example`, if its secret is a documented key; then it is not certain."""
    if leak.sealed or not (source := documented_in(leak.secret)):
        return leak
    return replace(leak, certain=False, example=source)


def _unwrapped(encoded_layers: Iterable[EncodedLayer], plain: tuple[bytes, ...]) -> Iterator[SecretFinding]:
    """The sealed pieces of these layers, and the secrets in them that are not among the `plain` ones."""
    for layer in encoded_layers:
        how = " split over strings or lines" if layer.how == "joined" else f" in {layer.how} text"
        for what, line, piece in sealed_within(layer):
            yield SecretFinding(what, line, sealed=True, how=how, last=layer.last_of(line), secret=piece)
        for pattern, position, secret in _named_once(_matches(layer.how, layer.text)):
            core = secret.translate(None, _SEAMS)
            if not any(core.startswith(known) or known.startswith(core) for known in plain):
                last = layer.last_at(position + max(len(secret), 1) - 1)
                yield SecretFinding(pattern.name, layer.line_at(position), how=how, last=last, secret=secret)


@cache
def _index() -> HintIndex[Pattern | ImportedRule]:
    """All rules; the first that finds a secret names it, so the most specific ones come first."""
    certain = [rule for rule in imported_rules() if rule.certain]
    return HintIndex((*VENDORS, *certain, *SENTENCES, *(rule for rule in imported_rules() if not rule.certain)))


def _matches(how: str, text: bytes) -> Iterator[tuple[Pattern | ImportedRule, int, bytes]]:
    """(rule, position, secret) of each match in a layer; in encoded layers only for distinctive rules."""
    for rule in _index().candidates(text):
        if not (how == "plain" or rule.prefixed):
            continue
        for position, secret in rule.matches(text):
            if how != "joined" or rule.name == "private-key" or looks_random(secret):
                yield rule, position, secret


def _named_once(
    matches: Iterable[tuple[Pattern | ImportedRule, int, bytes]],
) -> Iterator[tuple[Pattern | ImportedRule, int, bytes]]:
    """The matches without those of a later rule that begin where an earlier one found as much, as certainly."""
    ends: dict[int, tuple[int, bool]] = {}
    for rule, position, secret in matches:
        end, certain = ends.get(position, (0, False))
        if position + len(secret) <= end and (certain or not rule.certain):
            continue
        ends[position] = (position + len(secret), rule.certain)
        yield rule, position, secret


def _detected(blob: bytes, before: bytes, seen: set[int]) -> Iterator[SecretFinding]:
    """Secrets that detect-secrets finds on the new lines of `blob`; at most one of each uncertain detector."""
    old = set(before.split(b"\n"))
    added = ((n, line) for n, line in enumerate(blob.split(b"\n"), 1) if line not in old)
    guessed: dict[str, SecretFinding] = {}
    for line, detector, secret, certain in plugins.detect(added):
        leak = _judged(SecretFinding(f"{detector} (detect-secrets)", line, certain, secret=secret))
        if leak.certain:
            yield leak
        elif line not in seen and not leak.example:
            guessed.setdefault(detector, leak)
    yield from guessed.values()
