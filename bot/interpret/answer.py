"""A model's answer, read strictly: exactly one JSON object of the agreed shape, or a complaint that says what is wrong.

Nothing here trusts the model: bounds come first, then JSON without what JSON leaves open (keys given twice, NaN,
numbers beyond 64 bits, depth), then the shape, and then the constructors of `core.edit`, which say what an edit may be.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NoReturn

from pydantic import Field, ValidationError

from bot.grammar.parse import MAX_EDITS
from bot.interpret.hiding import hiding_place
from core.edit import Edit, from_json
from core.strict_yaml import StrictModel

MAX_CHARS: Final = 64 * 1024
MAX_DEPTH: Final = 6
MAX_OPTIONS: Final = 4
OPTION_CHARS: Final = 72
QUESTION_CHARS: Final = 300
_INT64: Final = 2**63
_SHOWN: Final = 80


class BadAnswerError(ValueError):
    """An answer that cannot be used, with one sentence that the model is told when it is asked once more."""


class Shape(StrictModel):
    """The agreed shape; `bot.interpret.schema` says the same to the model."""

    reading: Literal["edits", "work", "unclear"]
    sure: bool = True
    lane: str = Field("", max_length=100)
    edits: tuple[dict[str, str | bool | None], ...] = Field((), max_length=MAX_EDITS)
    question: str = Field("", max_length=QUESTION_CHARS)
    options: tuple[str, ...] = Field((), max_length=MAX_OPTIONS)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model made of a request; `lane` and `options` are only words until they are compared with the offers."""

    reading: str
    sure: bool
    lane: str
    edits: tuple[Edit, ...]
    question: str
    options: tuple[str, ...]


def read_answer(text: str) -> Answer:
    """The answer in `text`; raises `BadAnswerError`, and nothing else, for anything that is not one."""
    tree = _strict_json(text)
    try:
        shape = Shape.model_validate_json(json.dumps(tree))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part)[:_SHOWN] for part in first["loc"][:3]) or "the object"
        raise BadAnswerError(f"In {where}: {first['msg']}.") from error
    for said in _texts(shape):
        if hidden := hiding_place(said):
            raise BadAnswerError(hidden)
    edits = tuple(map(_edit, shape.edits)) if shape.reading == "edits" else ()
    if shape.reading == "edits" and not edits:
        raise BadAnswerError('The reading is "edits", and there is no edit.')
    if shape.reading == "unclear" and not shape.question.strip():
        raise BadAnswerError('The reading is "unclear", and there is no question.')
    return Answer(shape.reading, shape.sure, shape.lane.strip(), edits, _line(shape.question), _options(shape.options))


def _edit(document: Mapping[str, object]) -> Edit:
    """An edit by its own constructor; a field that is null is one that was left out."""
    try:
        return from_json({key: value for key, value in document.items() if value is not None})
    except ValueError as error:
        raise BadAnswerError(str(error)) from error


def _strict_json(text: str) -> dict[str, Any]:
    """The one object in `text`, by the strictest reading of JSON."""
    if len(text) > MAX_CHARS:
        raise BadAnswerError(f"The answer has more than {MAX_CHARS} characters.")
    _check_depth(text)
    try:
        text.encode()
        tree = json.loads(text, object_pairs_hook=_object, parse_constant=_constant, parse_int=_whole)
    except BadAnswerError:
        raise
    except (ValueError, RecursionError) as error:  # UnicodeEncodeError and JSONDecodeError are ValueErrors
        raise BadAnswerError("The answer is not one JSON object and nothing else.") from error
    if not isinstance(tree, dict):
        raise BadAnswerError("The answer is JSON, but no object.")
    return tree


def _check_depth(text: str) -> None:
    """Count brackets outside strings, so that no parser meets a million of them."""
    depth, in_string, escaped = 0, False, False
    for char in text:
        if in_string:
            in_string = escaped or char != '"'
            escaped = char == "\\" and not escaped
        elif char == '"':
            in_string = True
        elif char in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise BadAnswerError(f"The answer is nested deeper than {MAX_DEPTH}.")
        elif char in "]}":
            depth -= 1


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise BadAnswerError("A key is given twice.")
    return made


def _constant(name: str) -> NoReturn:
    raise BadAnswerError(f"{name} is no JSON.")


def _whole(digits: str) -> int:
    if len(digits) > 20 or not -_INT64 <= int(digits) < _INT64:
        raise BadAnswerError("A number does not fit into 64 bits.")
    return int(digits)


def _texts(shape: Shape) -> list[str]:
    in_edits = [value for edit in shape.edits for pair in edit.items() for value in pair]
    return [shape.lane, shape.question, *shape.options, *(text for text in in_edits if isinstance(text, str))]


def _options(options: Sequence[str]) -> tuple[str, ...]:
    """Answers that fit on buttons, once each; a longer one would be cut, and mean something else when pressed."""
    lines = dict.fromkeys(map(_line, options))
    return tuple(line for line in lines if line and len(line) <= OPTION_CHARS and line.isprintable())


def _line(text: str) -> str:
    return " ".join(text.split())
