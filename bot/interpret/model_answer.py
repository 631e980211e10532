"""Parses a model's answer strictly: one JSON object of the agreed shape, or an error that says what is wrong.

Nothing here trusts the model: the answer must be strict JSON, then of the agreed shape, and then the constructors of
`core.model.edits` validate each edit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import Field, ValidationError

from bot.interpret.grammar.parse import MAX_EDITS
from bot.interpret.grammar.tokens import hidden_text_warning
from core.model.edits import Edit, from_json
from core.strict_json import NotJsonError, read_object
from core.strict_yaml import StrictModel

MAX_CHARS: Final = 64 * 1024
MAX_DEPTH: Final = 6
MAX_OPTIONS: Final = 4
OPTION_CHARS: Final = 72
QUESTION_CHARS: Final = 300
_MAX_SHOWN: Final = 80


class BadAnswerError(ValueError):
    """An answer that cannot be used; the model gets the message with the second request."""


class AnswerShape(StrictModel):
    """The agreed shape; `bot.interpret.schema` describes the same to the model."""

    reading: Literal["edits", "work", "unclear", "nothing"]
    sure: bool = True
    lane: str = Field("", max_length=100)
    edits: tuple[dict[str, str | bool | None], ...] = Field((), max_length=MAX_EDITS)
    question: str = Field("", max_length=QUESTION_CHARS)
    options: tuple[str, ...] = Field((), max_length=MAX_OPTIONS)


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """A model's reading of a request; `lane` and `options` are plain text until compared with the offers."""

    reading: str
    sure: bool
    lane: str
    edits: tuple[Edit, ...]
    question: str
    options: tuple[str, ...]


def read_answer(text: str) -> ModelAnswer:
    """Parse `text`; raises `BadAnswerError`, and nothing else, for an invalid answer."""
    try:
        shape = AnswerShape.model_validate_json(json.dumps(read_object(text, max_chars=MAX_CHARS, max_depth=MAX_DEPTH)))
    except NotJsonError as error:
        raise BadAnswerError(str(error)) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part)[:_MAX_SHOWN] for part in first["loc"][:3]) or "the object"
        raise BadAnswerError(f"In {where}: {first['msg']}.") from error
    for text_part in _texts(shape):
        if hidden := hidden_text_warning(text_part):
            raise BadAnswerError(hidden)
    edits = tuple(map(_edit, shape.edits)) if shape.reading == "edits" else ()
    if shape.reading == "edits" and not edits:
        raise BadAnswerError('The reading is "edits", but there is no edit.')
    if shape.reading == "unclear" and not shape.question.strip():
        raise BadAnswerError('The reading is "unclear", but there is no question.')
    return ModelAnswer(
        shape.reading, shape.sure, shape.lane.strip(), edits, _line(shape.question), _options(shape.options)
    )


def _edit(document: Mapping[str, object]) -> Edit:
    """An edit through its constructor; a field that is null counts as left out."""
    try:
        return from_json({key: value for key, value in document.items() if value is not None})
    except ValueError as error:
        raise BadAnswerError(str(error)) from error


def _texts(shape: AnswerShape) -> list[str]:
    in_edits = [value for edit in shape.edits for pair in edit.items() for value in pair]
    return [shape.lane, shape.question, *shape.options, *(text for text in in_edits if isinstance(text, str))]


def _options(options: Sequence[str]) -> tuple[str, ...]:
    """Options that fit on buttons, without duplicates; a longer one would be cut and mean something else."""
    lines = dict.fromkeys(map(_line, options))
    return tuple(line for line in lines if line and len(line) <= OPTION_CHARS and line.isprintable())


def _line(text: str) -> str:
    return " ".join(text.split())
