"""The card of a task: everything a surface may show of it, drawn from the task document alone; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from bot.cards.awaited import awaited
from bot.cards.parts import (
    ICONS,
    Action,
    ActionKind,
    CheckRow,
    DecisionRow,
    FileRow,
    HiddenContent,
    NeededApproval,
    ProblemPart,
    PullRequestPart,
    QuestionPart,
    Quote,
    StagedPart,
    TicketLink,
)
from bot.cards.risk import RiskLevel, risk_flags, risk_level
from bot.cards.safe import map_text, one_line, visible
from bot.cards.times import ago, duration, parse_time, until
from core.model.advice import BLANK, CommandName, Suggestion
from core.model.errors import mend_of
from core.model.lifecycle import State
from core.model.staged_diff import GuardVerdict, short_digest

_NAMED: Final = 6
"""People named before the others are counted."""
MAX_QUOTE: Final = 280
"""Characters of somebody's words on a card; the whole stands in the answer to why."""
_WORKING: Final = (State.RECEIVED, State.QUEUED, State.RUNNING, State.APPROVED)
_BY_RULE: Final = frozenset({"", "edit", "command", "workflow"})
"""Executors that ask no model themselves."""
_WORST: Final = (GuardVerdict.PASS, GuardVerdict.WARN, GuardVerdict.BLOCK)

TaskJson = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Card:
    """What is shown of one revision of a task. Every text in it is `visible` already; facts come from the host.

    `byline` is who, where and since when, as separate facts; `rule` the rule and why. `risk` sums up the files and the
    guard; it is None until something is staged. `superseded_note` says which revision took its place.
    """

    number: int
    revision: int
    icon: str
    label: str
    state: State
    lane: str
    title: str
    risk: RiskLevel | None
    byline: tuple[str, ...]
    rule: str
    quotes: tuple[Quote, ...]
    staged: StagedPart | None
    needs: tuple[NeededApproval, ...]
    decisions: tuple[DecisionRow, ...]
    expiry: str
    question: QuestionPart | None
    problem: ProblemPart | None
    last_failure: str
    pull_request: PullRequestPart | None
    actions: tuple[Action, ...]
    superseded_note: str
    hidden_content: HiddenContent | None = None
    tickets: tuple[TicketLink, ...] = ()

    @property
    def awaits_approval(self) -> bool:
        """True when the bytes are there for somebody to countersign."""
        return self.state is State.STAGED and self.staged is not None and not self.superseded_note

    def limited_to(self, files: int, hidden_lines: int | None) -> Card:
        """This card on a surface that shows `files` rows and all but `hidden_lines` lines of the diff (None: no diff).

        A diff of which a line is hidden cannot be approved from the card: Approve gives way to the diff (security.md
        42). File rows may be left out, for the whole diff has every file in it.
        """
        if hidden_lines == 0:  # the diff is all there, so nobody has to ask for it
            rest = tuple(action for action in self.actions if action.kind is not ActionKind.DIFF)
            return replace(self._hiding(files, hidden_lines), actions=rest)
        if not self.awaits_approval:
            return self
        kept = (action for action in self.actions if action.kind is not ActionKind.APPROVE)
        actions = tuple(sorted(kept, key=lambda a: a.kind is not ActionKind.DIFF))
        return replace(self._hiding(files, hidden_lines), actions=actions)

    def _hiding(self, files: int, hidden_lines: int | None) -> Card:
        if self.staged is None or not self.awaits_approval:
            return self
        return replace(self, hidden_content=HiddenContent(files, len(self.staged.files), hidden_lines))


def build_card(document: TaskJson, *, now: datetime, revision: int | None = None) -> Card:
    """The card of a task document (contract.md) at `now`; `revision` is the one an older card was drawn for.

    A card of an older revision shows no bytes and offers only the current card.
    """
    state, newest = State(document["state"]), int(document["revision"])
    revision = newest if revision is None else revision
    old = revision < newest
    staged = None if old else _staged(document)
    card = Card(
        number=int(document["number"]),
        revision=revision,
        icon="⏩" if old else ICONS[state],
        label=_label(document["number"], revision),
        state=state,
        lane=document["lane"] or "",
        title=one_line(document["title"], 200),
        risk=_risk(staged),
        byline=() if old else _byline(document, state, now),
        rule="" if old else _law(document),
        quotes=() if old else _quotes(document),
        staged=staged,
        needs=_needs(document) if staged and state is State.STAGED else (),
        decisions=_decided(document, revision, staged, now),
        expiry="" if old else _expiry(document, state, now),
        question=None if old else _asked(document),
        problem=None if old else _trouble(document),
        last_failure="" if old else _hitch(document, now),
        pull_request=_link(document),
        actions=_old_actions(document) if old else tuple(_actions(document, state)),
        superseded_note=f"superseded by {_label(document['number'], newest)}" if old else "",
    )
    return map_text(card, visible)


def _hitch(document: TaskJson, now: datetime) -> str:
    """Why the last try did not go through, and when the next one is."""
    queue = document["queue"] or {}
    problem, again = one_line(queue.get("problem") or "").rstrip("."), queue.get("next_try_at")
    if not problem or not again:
        return problem
    passed = (parse_time(again) or now) <= now
    return f"{problem}; next try {'now' if passed else until(again, now)}"


def _label(number: object, revision: int) -> str:
    return f"#{number}" if revision == 1 else f"#{number}.{revision}"


def _byline(document: TaskJson, state: State, now: datetime) -> tuple[str, ...]:
    staged, queue = document["staged"], document["queue"] or {}
    repo = document["repo"] or ""
    where = f"{repo}@{staged['base'][:7]}" if staged and repo else repo
    facts = [document["requester"], where, _since(document, state, now)]
    if state is State.STAGED:
        facts.append(awaited(document))
    if queue.get("waits_for"):
        facts.append(f"waits for #{queue['waits_for']}")
    elif queue.get("position"):
        eta = f", ~{duration(queue['eta_s'])}" if queue.get("eta_s") else ""
        facts.append(f"queue {queue['position']}{eta}")
    if state is State.RUNNING and queue.get("progress"):
        facts.append(one_line(queue["progress"], 120))
    facts += [*_set(document), *_made_by(document)]
    if document.get("read_by"):
        facts.append(f"read by {one_line(document['read_by'], 80)}")
    if document.get("priority"):
        facts.append(f"priority {document['priority']}")
    if document.get("deadline") and (state in _WORKING or state in (State.ASKING, State.STAGED)):
        facts.append(f"due {until(document['deadline'], now)}")
    return tuple(fact for fact in facts if fact)


def _set(document: TaskJson) -> list[str]:
    """The values that the request sets of its lane's parameters."""
    given = document.get("parameters") or {}
    said = [f"{one_line(name, 40)}={one_line(str(value), 60)}" for name, value in given.items()]
    return [f"with {', '.join(said)}"] if said else []


def _made_by(document: TaskJson) -> list[str]:
    """What models were asked for the bytes that are shown, and what that cost as far as they say."""
    making = document.get("making")
    if not making or not (making["usage"] or making["executor"] not in _BY_RULE):
        return []
    said = []
    for spent in making["usage"]:
        cost = f", ${spent['usd']:.2f}" if spent["usd"] is not None else ""
        tokens = spent["input_tokens"] + spent["output_tokens"]
        name = one_line(spent["model"], 80)
        said.append(f"{name}: {spent['calls']} answers, {tokens:,} tokens{cost}")
    tries = f" in {making['tries']} tries" if making["tries"] > 1 else ""
    spent = f" ({'; '.join(said)})" if said else ""
    return [f"made by {making['executor']}{tries}{spent}"]


def _since(document: TaskJson, state: State, now: datetime) -> str:
    when = ago(document.get("updated_at"), now)
    if state is State.ASKING:
        return f"asked {when}".strip()
    if not when:
        return state.value
    lasts = state in _WORKING and when.endswith(" ago")
    return f"{state.value} for {when.removesuffix(' ago')}" if lasts else f"{state.value} {when}"


def _law(document: TaskJson) -> str:
    """Why this lane and this rule; no reason when the trouble says the same already, no rule's name twice."""
    reason, rule = one_line(document["reason"] or ""), document["rule"]
    if document["error"] and one_line(document["error"]["message"]) == reason:
        return f"rule {rule}" if rule else ""
    if not rule or f"rule {rule} " in reason:
        return reason
    return f"rule {rule}: {reason}".rstrip(": ")


def _quotes(document: TaskJson) -> tuple[Quote, ...]:
    """What was asked for in this revision, unless the title is just that, and what a model says of its work."""
    turns = [turn for turn in document["turns"] if turn.get("revision", document["revision"]) == document["revision"]]
    said = [
        Quote(f"{turn['person']} {'asked' if turn['n'] == 1 else 'replied'}", one_line(turn["text"], MAX_QUOTE))
        for turn in turns[-1:]
        if one_line(turn["text"]) != one_line(document["title"])
    ]
    model = document.get("model") or {}
    if model.get("words"):
        said.append(Quote(f"the model {model['name']} says", one_line(model["words"], MAX_QUOTE), is_from_model=True))
    return tuple(said)


def _staged(document: TaskJson) -> StagedPart | None:
    found = document["staged"]
    if found is None:
        return None
    rows = [_row(row) for row in found["files"]]
    order = {RiskLevel.HIGH: 0, RiskLevel.MEDIUM: 1, RiskLevel.LOW: 2}
    rows.sort(key=lambda row: order[row.level])
    return StagedPart(
        digest=found["digest"],
        short_digest=short_digest(found["digest"]),
        base=found["base"],
        files=tuple(rows),
        added=sum(row.added or 0 for row in rows),
        removed=sum(row.removed or 0 for row in rows),
        checks=_checks(found["guard"]),
    )


def _row(row: Mapping[str, Any]) -> FileRow:
    flags = risk_flags(row)
    names = tuple(dict.fromkeys(name for name, _ in flags))
    level = risk_level(flags, (), 1, 0)
    return FileRow(row["path"], row["status"], row["added"], row["removed"], names, level)


def _checks(findings: Iterable[Mapping[str, Any]]) -> tuple[CheckRow, ...]:
    """Findings by check, in the guard's order; what passed keeps a number as its note (``118`` tests)."""
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for finding in findings:
        grouped.setdefault(finding["check"], []).append(finding)
    checks = []
    for name, found in grouped.items():
        verdict = max((GuardVerdict(f["verdict"]) for f in found), key=_WORST.index)
        details = tuple(_detail(f) for f in found if f["verdict"] != GuardVerdict.PASS)
        note = found[0]["detail"] if verdict is GuardVerdict.PASS and found[0]["detail"].isdecimal() else ""
        checks.append(CheckRow(name, verdict, details, note))
    return tuple(checks)


def _detail(finding: Mapping[str, Any]) -> str:
    detail = one_line(finding["detail"])
    path = finding["path"]
    return f"{path}: {detail}" if path and path not in detail else detail


def _risk(staged: StagedPart | None) -> RiskLevel | None:
    if staged is None:
        return None
    weights = [("", row.level) for row in staged.files]
    lines = staged.added + staged.removed
    return risk_level(weights, (check.verdict for check in staged.checks), len(staged.files), lines)


def _needs(document: TaskJson) -> tuple[NeededApproval, ...]:
    """What is still needed; there is always a sentence, for a person must see why nobody is asked."""
    rows = document["staged"]["needs"]
    if not rows:
        return (NeededApproval(0, (), (), "policy no longer allows this change"),)
    return tuple(
        NeededApproval(row["count"], tuple(row["of"]), tuple(row["have"]), _sentence(row, many=len(rows) > 1))
        for row in rows
    )


def _sentence(row: Mapping[str, Any], *, many: bool) -> str:
    who = f"of {_names(row['of'])}" if row["of"] else "approval, and nobody may give it"
    have = f"; has {_names(row['have'])}" if row["have"] else ""
    rule = f" ({row['rule']})" if many else ""
    return f"needs {row['count']} {who}{rule}{have}"


def _names(people: Sequence[str]) -> str:
    more = len(people) - _NAMED
    return ", ".join(people) if more <= 1 else f"{', '.join(people[:_NAMED])} and {more} others"


def _decided(document: TaskJson, revision: int, staged: StagedPart | None, now: datetime) -> tuple[DecisionRow, ...]:
    """The verdicts on what is staged; on the card of an older revision those that were said of it."""
    old = revision < int(document["revision"])
    return tuple(
        DecisionRow(
            said["person"],
            said["verdict"] == "approve",
            said["surface"],
            ago(said["at"], now),
            one_line(said.get("reason", "")),
        )
        for said in document["approvals"]
        if (said.get("revision") == revision if old else staged is not None and said["digest"] == staged.digest)
    )


def _expiry(document: TaskJson, state: State, now: datetime) -> str:
    if state not in (State.STAGED, State.ASKING):
        return ""
    when = until(document.get("expires_at"), now)
    return f"expires {when}" if when.startswith("in ") else f"expired {when}".rstrip() if when else ""


def _asked(document: TaskJson) -> QuestionPart | None:
    question = document.get("question")
    if not question:
        return None
    return QuestionPart(one_line(question["text"]), tuple(question["options"]))


def _trouble(document: TaskJson) -> ProblemPart | None:
    """What went wrong; a question that is still open is told by `_asked`, and its answers by the actions."""
    error = document["error"]
    if not error or (error["code"] == "asking" and document.get("question")):
        return None
    mend = mend_of(error)
    mend = one_line(mend) if isinstance(mend, str) else mend.about(int(document["number"]))
    return ProblemPart(error["code"], one_line(error["message"]), mend)


def _link(document: TaskJson) -> PullRequestPart | None:
    found = document["pull_request"]
    if found is None:
        return None
    carries = found.get("revision", document["revision"])
    of_revision = carries if carries != document["revision"] else None
    return PullRequestPart(
        found["number"],
        found["state"],
        found["branch"],
        found["head"],
        found["url"],
        of_revision,
        one_line(found.get("checks", "")),
        found.get("files", ""),
    )


def _old_actions(document: TaskJson) -> tuple[Action, ...]:
    number = int(document["number"])
    label = f"Show {_label(number, int(document['revision']))}"
    return (Action(ActionKind.SHOW, label, Suggestion(CommandName.SHOW, number)),)


def _actions(document: TaskJson, state: State) -> Iterable[Action]:
    """What may be done now, the thing a person came for first; who may do it is judged at the click."""
    number, staged = int(document["number"]), document["staged"]

    def action(kind: ActionKind, label: str, *args: str) -> Action:
        command = CommandName.REPLY if kind is ActionKind.ANSWER else CommandName(kind.value)
        return Action(kind, label, Suggestion(command, number, args))

    reply = action(ActionKind.REPLY, "Reply", BLANK)
    if state is State.ASKING:
        for option in (document.get("question") or {}).get("options", ()):
            yield action(ActionKind.ANSWER, option, option)
        yield reply
    if state is State.STAGED and staged:
        short = short_digest(staged["digest"])
        yield action(ActionKind.APPROVE, f"Approve {short[:4]}", short)
        yield action(ActionKind.REJECT, "Reject", BLANK)
        yield reply
    if state is State.PUBLISHED:
        yield action(ActionKind.MERGE, "Merge")
        yield reply
    if state in (State.PUBLISHED, State.MERGED):
        yield action(ActionKind.UNDO, "Undo")
    if state in (State.REFUSED, State.REJECTED, State.EXPIRED, State.FAILED):
        yield reply
    if staged:
        yield action(ActionKind.DIFF, "Full diff")
    if state is State.STAGED and staged:
        yield action(ActionKind.WHY, "Why")
        if len(staged["files"]) > 1:
            yield action(ActionKind.PICK, "Pick parts", "1,3-5")
    if state in (State.ASKING, *_WORKING):
        yield action(ActionKind.CANCEL, "Cancel")
