"""Values that were stored as JSON are read whichever version wrote them, or refused in a sentence."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from core.model.advice import BLANK, CommandName, Suggestion, advise
from core.model.approval import Approval, Verdict
from core.model.change_result import ChangeResult
from core.model.decision import ApprovalRequirements, MergeRequirements, RequiredCheck
from core.model.edits import CreateFile
from core.model.errors import Kind, Problem
from core.model.inbox import RecordedResponse
from core.model.intent import Intent
from core.model.lane import Limits
from core.model.part_selection import PartSelection, PickedPart
from core.model.place import Place
from core.model.provenance import CheckResult, Provenance, Usage
from core.model.stored import StoredValueError
from core.model.task import Basis, PullRequest
from core.model.turn import Actor, MessageOrigin, Question, TurnDraft

SELECTION = PartSelection("d" * 64, ("1" * 20, "2" * 20), 3, "1,3")
PLACE = Place("telegram", "-100", "7", private=True)
VALUES: dict[str, Any] = {
    "an intent": Intent("make it", (CreateFile("a.txt", "x"),), lane="docs", read_by="local/m", selection=SELECTION),
    "what a revision builds on": Basis((1, 2), 1, ("ana",), "look", 2, (PickedPart.of(SELECTION, 1, "lee"),)),
    "approval requirements": ApprovalRequirements(
        "r",
        2,
        ("maintainer",),
        limits=Limits(files=3),
        merge=MergeRequirements(auto=True, checks=(RequiredCheck("ci"),)),
    ),
    "how a change was made": Provenance(
        "ollama", "done", (Usage("m", 1, 2, 3, 0.5),), (CheckResult("t", True, True, "ok", "t.log", 1.5),)
    ),
    "an approval": Approval("lee", Verdict.APPROVE, "d" * 64, datetime(2026, 5, 4, tzinfo=UTC), "slack", "fine"),
    "a place": PLACE,
    "the result of a change": ChangeResult("b" * 40, "c" * 40, Provenance("edit"), ("ana", "lee")),
    "the response to a message": RecordedResponse("Done.", form="reply", personal=True, about=3, choices=(("a", "b"),)),
    "a pull request": PullRequest(1, "u", "b", "h", "open", 2, "d" * 64, followed=True),
    "a reply": TurnDraft("words", Actor("ana", "slack"), "m:1", MessageOrigin(PLACE, "5", "U1")),
    "a question": Question("lane", "Which?", ("a", "b")),
    "a problem": Problem(Kind.FAILED, "x", "it failed", advise("Write ", Suggestion(CommandName.REPLY, 1, (BLANK,)))),
}


@pytest.mark.parametrize("kind", VALUES)
def test_what_was_written_is_read_as_it_was(kind):
    value = VALUES[kind]
    assert type(value).from_json(json.loads(json.dumps(value.to_json()))) == value


@pytest.mark.parametrize("kind", VALUES)
def test_what_a_newer_version_wrote_is_refused_in_a_sentence(kind):
    value = VALUES[kind]
    with pytest.raises(StoredValueError, match=rf"a newer Countersign wrote {kind} of version 2"):
        type(value).from_json({**value.to_json(), "v": 2})


@pytest.mark.parametrize(
    ("kind", "older"),
    [
        ("an intent", {"text": "make it", "edits": []}),
        ("what a revision builds on", {"turns": [1], "continue_from": None}),
        ("approval requirements", {"rule": "r", "count": 1, "approvers": ["maintainer"]}),
        ("how a change was made", {}),
        ("a place", {"surface": "slack", "channel": "C1"}),
        ("the result of a change", {"base": "b" * 40, "tree": "c" * 40}),
        ("the response to a message", {}),
        ("the response to a message", {"text": "no", "refused": True, "form": "", "about": None, "choices": []}),
    ],
)
def test_a_key_that_an_older_version_lacked_has_its_default(kind, older):
    written = json.loads(json.dumps(type(VALUES[kind]).from_json(older).to_json()))
    assert {key: written[key] for key in older} == older


def test_a_key_that_every_version_wrote_is_missed_by_name():
    with pytest.raises(StoredValueError, match="an intent in the database has no 'text'"):
        Intent.from_json({"edits": []})
