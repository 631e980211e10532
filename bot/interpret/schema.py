"""The JSON Schema of an answer: the edits of `core.model.edits`, and the names of the lanes on offer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, fields
from typing import Any, Final

from bot.interpret.model_answer import MAX_OPTIONS, OPTION_CHARS, QUESTION_CHARS
from core.model.edits import KINDS, Edit
from core.ports import LaneOffer

_TYPES: Final[dict[str, dict[str, Any]]] = {
    "str": {"type": "string"},
    "bool": {"type": "boolean"},
    "str | None": {"type": ["string", "null"]},
}


def answer_schema(offers: Sequence[LaneOffer]) -> dict[str, Any]:
    """The schema of an answer when these lanes are on offer."""
    properties = {
        "reading": {"type": "string", "enum": ["edits", "work", "unclear", "nothing"]},
        "sure": {"type": "boolean"},
        "lane": {"type": "string", "enum": [*(offer.lane for offer in offers), ""]},
        "edits": {"type": "array", "items": {"anyOf": [_edit(name, kind) for name, kind in KINDS.items()]}},
        "question": {"type": "string", "maxLength": QUESTION_CHARS},
        "options": {
            "type": "array",
            "items": {"type": "string", "maxLength": OPTION_CHARS},
            "maxItems": MAX_OPTIONS,
        },
    }
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _edit(name: str, kind: type[Edit]) -> dict[str, Any]:
    edit_fields = fields(kind)
    return {
        "type": "object",
        "properties": {"kind": {"const": name}, **{field.name: _TYPES[str(field.type)] for field in edit_fields}},
        "required": ["kind", *(field.name for field in edit_fields if field.default is MISSING)],
        "additionalProperties": False,
    }


def describe_edits() -> str:
    """The edits in words, one line each, for models without structured output."""
    return "\n".join(f"- {name}: {_signature(kind)}. {_contract(kind)}" for name, kind in KINDS.items())


def _signature(kind: type[Edit]) -> str:
    return ", ".join(f"{field.name}{'' if field.default is MISSING else '?'}" for field in fields(kind))


def _contract(kind: type[Edit]) -> str:
    return " ".join((kind.__doc__ or "").split())
