"""The JSON Schemas of the documents that `--json` prints and the API answers."""

from __future__ import annotations

from typing import Any

from core.model.approval import Verdict
from core.model.errors import Kind
from core.model.lifecycle import State
from core.model.staged_diff import GuardVerdict
from core.rules.receipt import PREDICATE_TYPE, STATEMENT_TYPE

_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
_TIME = {"type": "string", "format": "date-time"}
_DIGEST = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_OID = {"type": "string", "pattern": "^[0-9a-f]{40}$"}
_MODE = {"type": "string", "pattern": "^[0-7]{6}$"}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _object(**properties: Any) -> dict[str, Any]:
    """An object schema with all `properties` required; later versions may add more."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


_FILE = _object(
    path=_TEXT,
    status={"enum": ["A", "D", "M", "T"]},
    added=_or_null(_COUNT),
    removed=_or_null(_COUNT),
    old_mode=_MODE,
    mode=_MODE,
)
_FINDING = _object(check=_TEXT, verdict={"enum": [v.value for v in GuardVerdict]}, detail=_TEXT, path=_or_null(_TEXT))
_NEEDS = _object(rule=_TEXT, count=_COUNT, of=_list(_TEXT), have=_list(_TEXT))
_STAGED = _object(digest=_DIGEST, base=_OID, tree=_OID, files=_list(_FILE), guard=_list(_FINDING))
_APPROVAL = _object(person=_TEXT, verdict={"enum": [v.value for v in Verdict]}, digest=_DIGEST, at=_TIME, surface=_TEXT)
_TURN = _object(n=_COUNT, person=_TEXT, surface=_TEXT, text=_TEXT)
_ERROR = _object(code=_TEXT, message=_TEXT, mend=_TEXT, kind={"enum": [k.value for k in Kind]})

_SPENT = _object(
    model=_TEXT,
    calls=_COUNT,
    input_tokens=_COUNT,
    output_tokens=_COUNT,
    usd=_or_null({"type": "number", "minimum": 0}),
)
_CHECKED = _object(
    name=_TEXT,
    passed={"type": "boolean"},
    required={"type": "boolean"},
    detail=_TEXT,
    artifact=_TEXT,
    wall_s={"type": "number", "minimum": 0},
)
_MAKING = _object(executor=_TEXT, words=_TEXT, usage=_list(_SPENT), checks=_list(_CHECKED), tries=_COUNT)

_QUEUE = _object(
    position=_COUNT,
    eta_s=_or_null(_COUNT),
    eta_low_s=_or_null(_COUNT),
    eta_high_s=_or_null(_COUNT),
    done_s=_or_null(_COUNT),
    done_low_s=_or_null(_COUNT),
    done_high_s=_or_null(_COUNT),
    before=_COUNT,
    why=_TEXT,
    promised_at=_or_null(_TIME),
    is_late={"type": "boolean"},
    needs_worker={"type": "boolean"},
)

_PICKED = _object(revision=_COUNT, digest=_DIGEST, person=_TEXT, kept=_COUNT, total=_COUNT, ids_sha256=_DIGEST)

_TASK = _object(
    number=_COUNT,
    state={"enum": [state.value for state in State]},
    repo=_or_null(_TEXT),
    requester=_TEXT,
    title=_TEXT,
    lane=_or_null(_TEXT),
    rule=_or_null(_TEXT),
    reason=_TEXT,
    revision=_COUNT,
    queue=_or_null(_QUEUE),
    staged=_or_null({**_STAGED, "properties": {**_STAGED["properties"], "needs": _list(_NEEDS)}}),
    approvals=_list(_APPROVAL),
    pull_request=_or_null(_object(number=_COUNT, url=_TEXT, branch=_TEXT, head=_OID, state=_TEXT)),
    turns=_list(_TURN),
    artifacts=_list(_object(name=_TEXT, sha256=_DIGEST, size_bytes=_COUNT)),
    making=_or_null(_MAKING),
    model=_or_null(_object(name=_TEXT, words=_TEXT)),
    parameters={"type": "object"},
    picked=_list(_PICKED),
    read_by=_TEXT,
    error=_or_null(_ERROR),
)
_EVENT = _object(
    id=_COUNT,
    task=_or_null(_COUNT),
    seq=_COUNT,
    kind=_TEXT,
    at=_TIME,
    person=_or_null(_TEXT),
    surface=_or_null(_TEXT),
    body={"type": "object"},
    previous=_DIGEST,
    hash=_DIGEST,
)
_PREDICATE = _object(
    task=_object(number=_COUNT, id=_TEXT, revision=_COUNT),
    requester=_TEXT,
    authors=_list(_TEXT),
    turns=_list(_TURN),
    decision=_object(
        lane=_or_null(_TEXT),
        rule=_or_null(_TEXT),
        reason=_TEXT,
        policy_digest=_or_null(_DIGEST),
        terms={"type": "object"},
    ),
    staged=_STAGED,
    approvals=_list(_APPROVAL),
    published=_object(branch=_TEXT, head=_OID, tree=_OID),
    at=_TIME,
    event=_object(seq=_COUNT, hash=_DIGEST),
)
# receipts of older versions lack these, so they are described and not required
_PREDICATE["properties"]["needs"] = _or_null(_NEEDS)
_PREDICATE["properties"]["picked"] = _list(_PICKED)
_PREDICATE["properties"]["parameters"] = {"type": "object"}
_PREDICATE["properties"]["making"] = _object(executor=_TEXT, usage=_list(_SPENT))
_PREDICATE["properties"]["decision"]["properties"]["lane_version"] = _or_null(_COUNT)
_RECEIPT = _object(
    _type={"const": STATEMENT_TYPE},
    subject=_list(_object(name=_TEXT, digest=_object(gitCommit=_OID, gitTree=_OID))),
    predicateType={"const": PREDICATE_TYPE},
    predicate=_PREDICATE,
)
_TITLES = {
    "task": ("A Countersign task", _TASK),
    "event": ("A Countersign event", _EVENT),
    "receipt": ("The payload of a Countersign receipt (a DSSE envelope carries it in base64)", _RECEIPT),
}


def schema_of(document: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of `task`, `event` or `receipt`."""
    title, schema = _TITLES[document]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **schema}
