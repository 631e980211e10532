"""The rules of the engine Betterleaks, run by our RE2: `betterleaks.json`, which `make secret-rules` writes.

Upstream's expressions, keywords and filters are kept; what it does beside them (decoding, archives, asking vendors) is
not used. Decision 0077 has the figures behind this choice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from policies.secrets.patterns import MAX_CANDIDATES, compiled, entropy, flood, has_digits, is_placeholder

_RULES: Final = "betterleaks.json"
_CONTEXT: Final = "(?:=|>|:{1,3}=|"
"""How upstream writes "NAME = VALUE": such a rule, like those for curl, has too little form for joined text."""


@dataclass(frozen=True, slots=True)
class ImportedRule:
    """One rule. `reject` and `require` are pairs of a field (secret, match or line) and an expression on it."""

    name: str
    regex: str
    hints: tuple[bytes, ...]
    certain: bool
    prefixed: bool
    group: int
    entropy: float
    words: bool
    reject: tuple[tuple[str, str], ...]
    require: tuple[tuple[str, str], ...]

    def matches(self, text: bytes) -> Iterator[tuple[int, bytes]]:
        """The position and the bytes of each secret in `text`; beyond the limit, the whole text as the last."""
        expression = compiled(self.regex)
        for candidates, match in enumerate(expression.finditer(text), 1):
            group = self.group or next((n for n in range(1, expression.groups + 1) if match.start(n) >= 0), 0)
            if candidates > MAX_CANDIDATES:
                yield match.start(), flood(text)
                return
            secret = bytes(match.group(group) or match.group())
            if self._holds(secret, match, text):
                yield match.start(group), secret

    def _holds(self, secret: bytes, match: Any, text: bytes) -> bool:
        """True unless upstream's filter drops the match."""
        if entropy(secret) < self.entropy or (self.words and not has_digits(secret)):
            return False
        if not self.prefixed and is_placeholder(secret):
            return False
        fields = {"secret": secret, "match": bytes(match.group())}
        if any(field == "line" for field, _ in self.reject):
            fields["line"] = _line(text, match.start())
        return all(compiled(regex).search(fields[field]) for field, regex in self.require) and not any(
            compiled(regex).search(fields[field]) for field, regex in self.reject
        )


def _line(text: bytes, position: int) -> bytes:
    """The line around `position`, at most a thousand bytes of it to each side."""
    start, end = text.rfind(b"\n", max(0, position - 1000), position), text.find(b"\n", position, position + 1000)
    return text[max(start + 1, position - 1000) : end if end >= 0 else position + 1000]


@cache
def imported_rules() -> tuple[ImportedRule, ...]:
    """All rules, in upstream's order by name."""
    stored = json.loads(files("policies.secrets").joinpath(_RULES).read_text(encoding="utf-8"))
    general = _pairs(stored["reject"])
    return tuple(_rule(rule, general) for rule in stored["rules"])


def _rule(rule: dict[str, Any], general: tuple[tuple[str, str], ...]) -> ImportedRule:
    return ImportedRule(
        name=rule["id"],
        regex=rule["regex"],
        hints=tuple(hint.encode() for hint in rule["hints"]),
        certain=rule["certain"],
        prefixed=rule["certain"] and _CONTEXT not in rule["regex"] and not rule["id"].startswith("curl-"),
        group=rule.get("group", 0),
        entropy=rule.get("entropy", 0.0),
        words=rule.get("words", False),
        reject=general + _pairs(rule.get("reject", [])),
        require=_pairs(rule.get("require", [])),
    )


def _pairs(listed: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((field, regex) for field, regex in listed)
