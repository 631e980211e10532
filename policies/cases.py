"""Cases that a policy must decide as a file says; the file is read strictly.

version: 1
coverage: 100                          # optional: the percentage of rules that must decide at least one case
cases:
  - name: members change settings
    ask: {as: ana, repo: web, paths: [config/app.yaml]}   # optional: surface, lane, edits: known or unknown
    expect: {effect: allow, lane: config, rule: config-changes, approvals: 1, approvers: [lee, max]}
  - name: no one writes workflows
    ask: {as: lee, repo: web, paths: [.github/workflows/test.yml]}
    expect: {effect: deny}                                # what is not named is not compared
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from core.model.decision import Decision, PolicyRequest
from core.model.turn import SURFACES
from core.strict_yaml import StrictModel, Word, WordList, YamlDocument, loads, validate
from policies.compare import PolicyVersion

_NOUNS: Final = {"as": "person", "repo": "repository", "lane": "lane", "surface": "surface"}


class RawAsk(StrictModel):
    """Who asks for what."""

    person: Word = Field(alias="as")
    repo: Word
    surface: Word = "terminal"
    lane: Word | None = None
    paths: WordList | None = None
    edits: Literal["known", "unknown"] = "known"


class RawExpect(StrictModel):
    """What is decided; None is not compared."""

    effect: Literal["allow", "deny", "ask"]
    lane: Word | None = None
    rule: Word | None = None
    approvals: Annotated[int, Field(ge=1, le=100)] | None = None
    approvers: WordList | None = None
    options: WordList | None = None


class RawCase(StrictModel):
    """A case as written in the file."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    ask: RawAsk
    expect: RawExpect


class RawCases(StrictModel):
    """The content of a file of cases."""

    version: Literal[1]
    coverage: Annotated[int, Field(ge=0, le=100)] = 0
    cases: tuple[RawCase, ...]


@dataclass(frozen=True, slots=True)
class CaseResult:
    """How a case was decided: `differences` say what was expected and is not so, none if it passed."""

    name: str
    line: int | None
    decision: Decision
    differences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CaseReport:
    """The results of all cases, the rules that no case reaches, and the percentage that must be reached."""

    results: tuple[CaseResult, ...]
    unreached: tuple[str, ...]
    rules: int
    required_percent: int

    @property
    def percent(self) -> int:
        """How many of the rules decide a case, rounded down."""
        return 100 * (self.rules - len(self.unreached)) // self.rules if self.rules else 100

    @property
    def has_passed(self) -> bool:
        """Whether every case is decided as expected, and enough rules are reached."""
        return self.percent >= self.required_percent and not any(result.differences for result in self.results)


def check_cases(text: bytes, path: Path, version: PolicyVersion) -> CaseReport:
    """Decide every case in `text`, the content of the file at `path`.

    Raises `ConfigError` for a mistake in it, with line and key.
    """
    document = loads(text, path)
    raw = validate(document, RawCases)
    _check_names(document, raw.cases, version)
    results = tuple(_result(case, document.line_of(("cases", index)), version) for index, case in enumerate(raw.cases))
    reached = {result.decision.rule for result in results}
    names = [rule.name for rule in version.rules.rules]
    return CaseReport(results, tuple(name for name in names if name not in reached), len(names), raw.coverage)


def request_of(ask: RawAsk) -> PolicyRequest:
    """The policy request of a case."""
    return PolicyRequest(
        ask.person, ask.surface, ask.repo, ask.paths or (), ask.lane, deterministic=ask.edits == "known"
    )


def _check_names(document: YamlDocument, cases: Sequence[RawCase], version: PolicyVersion) -> None:
    """Raise `ConfigError` for a name of a case that does not exist, or that another case has."""
    known = {
        "as": set(version.people.by_name),
        "repo": set(version.repositories),
        "lane": set(version.lanes),
        "surface": set(SURFACES),
    }
    names: set[str] = set()
    for index, case in enumerate(cases):
        at = ("cases", index)
        if case.name in names:
            raise document.error((*at, "name"), f"another case is called {case.name!r}", "Give each its own name.")
        names.add(case.name)
        ask = case.ask
        for key, value in (("as", ask.person), ("repo", ask.repo), ("lane", ask.lane), ("surface", ask.surface)):
            if value is not None and value not in known[key]:
                mend = f"Known: {', '.join(sorted(known[key])) or 'none'}."
                raise document.error((*at, "ask", key), f"there is no {_NOUNS[key]} called {value!r}", mend)


def _result(case: RawCase, line: int | None, version: PolicyVersion) -> CaseResult:
    request = replace(request_of(case.ask), edited_by_rule=version.edited_by_rule)
    decision = version.policy.decide(request)
    needs = decision.requirements
    found: dict[str, Any] = {
        "effect": decision.effect.value,
        "lane": decision.lane,
        "rule": decision.rule,
        "approvals": needs.count if needs else None,
        "approvers": version.people.of_repository(case.ask.repo).matching(needs.approvers) if needs else (),
        "options": decision.question.options if decision.question else (),
    }
    differences = []
    for key, value in found.items():
        expected = getattr(case.expect, key)
        if expected is not None and not _agree(expected, value):
            differences.append(f"{key} is {_shown(value)}, not {_shown(expected)}")
    return CaseResult(case.name, line, decision, tuple(differences))


def _agree(expected: Any, found: Any) -> bool:
    """Whether two values are the same; the order of a list does not count."""
    return bool(sorted(expected) == sorted(found) if isinstance(found, tuple) else expected == found)


def _shown(value: Any) -> str:
    return ", ".join(value) or "no one" if isinstance(value, tuple) else str(value if value is not None else "none")
