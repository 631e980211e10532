"""Writes `policies/secrets/betterleaks.json` from the rules that the engine Betterleaks prints (`make secret-rules`).

    betterleaks config show toml | python -m tests.bench.secrets.import_rules VERSION

A rule is imported with its expression, keywords and filter. What asks a vendor (`validate`, `analyze`, `revoke`) is
left out. The filter language is not evaluated at run time: its terms are translated here, and a rule with another kind
of term is refused unless `UNFILTERED` or `LEFT_OUT` names it with the reason.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

RULES: Final = Path("policies/secrets/betterleaks.json")
LEFT_OUT: Final = {
    "generic-password": "its filter is a program; our password patterns warn of the same",
    "generic-credential-uri": "its filter is a program; `url-password` finds the same",
    "private-key": "ours also finds keys that are cut short, and wants base64 after the header",
    "pkcs12-file": "has no expression: it judges a file's name",
}
UNFILTERED: Final = {
    "box-api-access-token": "its filter reads the words before the match; without that it is a guess",
    "generic-api-key": "its filter reads the words around the match; without that it is a guess",
    "hashicorp-tf-password": "looks at the path",
    "freemius-secret-key": "looks at the path",
    "kubernetes-secret-yaml": "looks at the path",
    "nuget-config-password": "looks at the path",
}
"""Imported as guesses, because a part of their filter is not."""

_STRING: Final = r'`([^`]*)`|"((?:[^"\\]|\\.)*)"'
_ENTROPY: Final = re.compile(r'entropy\(finding\["secret"\]\) <=? ([0-9.]+)')
_WORDS: Final = re.compile(r'tokenRatio\(finding\["secret"\]\) >= [0-9.]+|failsTokenEfficiency\(finding\["secret"\]\)')
_MATCHES: Final = re.compile(
    rf'(!?)(matchesAny|containsAny)\(finding\["(secret|match|line)"\], \[((?:\s|,|{_STRING})*)\]\)'
)
_PATH: Final = re.compile(rf'matchesAny\(attributes\["path"\], \[((?:\s|,|{_STRING})*)\]\)')
_COMMENT: Final = re.compile(r"^\s*//.*$", re.MULTILINE)
_END: Final = r"""(?:\\?['"\x60]|[\s;]|\\[nr]|$)"""
_WIDER_END: Final = r"(?:[^A-Za-z0-9+/=_-]|$)"
"""A token ends at any byte that is not of its kind: upstream's list has no comma, bracket or tag."""


def main(version: str) -> int:
    """Translate the configuration on standard input; the number of rules is printed."""
    config = tomllib.loads(sys.stdin.read())
    rules = [_translated(rule) for rule in config["rules"] if not rule.get("skipReport") and rule["id"] not in LEFT_OUT]
    rules.sort(key=lambda rule: str(rule["id"]))
    general = _filter(config["filter"])
    head = {"source": f"betterleaks {version}", "licence": "MIT, see betterleaks.LICENSE", "reject": general["reject"]}
    lines = ",\n".join(json.dumps(rule, separators=(",", ":")) for rule in rules)
    RULES.write_text(json.dumps(head)[:-1] + f', "rules": [\n{lines}\n]}}\n', encoding="utf-8")
    print(f"{len(rules)} rules in {RULES}")
    return 0


def _translated(rule: dict[str, Any]) -> dict[str, Any]:
    name = rule["id"]
    certain = rule["confidence"] == "high" and name not in UNFILTERED
    filtered = _filter(rule.get("filter", ""), strict=name not in UNFILTERED)
    if name in UNFILTERED:
        filtered |= {"reject": [], "require": []}  # parts of a program mean nothing alone
    out: dict[str, Any] = {"id": name, "regex": rule["regex"].replace(_END, _WIDER_END)}
    out["hints"] = sorted({keyword.lower() for keyword in rule["keywords"]})
    out |= {"certain": certain} | {key: value for key, value in filtered.items() if value}
    if "valueGroup" in rule:
        out["group"] = rule["valueGroup"]
    return out


def _filter(source: str, *, strict: bool = True) -> dict[str, Any]:
    """The terms of a filter, any of which drops a match: `entropy` at most, `words`, `reject` and `require`."""
    rest = _COMMENT.sub("", source)
    out: dict[str, Any] = {"entropy": 0.0, "words": False, "reject": [], "require": []}
    for term in _MATCHES.finditer(rest):
        negated, function, field, listed = term.groups()[:4]
        strings = [raw or json.loads(f'"{quoted}"') for raw, quoted in re.findall(_STRING, listed)]
        if function == "containsAny":
            strings = [f"(?i){re.escape(string)}" for string in strings]
        out["require" if negated else "reject"].append([field, "|".join(f"(?:{string})" for string in strings)])
    rest = _PATH.sub("", _MATCHES.sub("", rest))
    entropies = [float(value) for value in _ENTROPY.findall(rest)]
    out["entropy"], out["words"] = max(entropies, default=0.0), _WORDS.search(rest) is not None
    rest = re.sub(r"[|()\s]", "", _WORDS.sub("", _ENTROPY.sub("", rest)))
    if rest and strict:
        raise SystemExit(f"this filter has terms that are not known here: {source}")
    return out


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
