"""Pydantic models of strict YAML documents: every error names the file, line and key, and how to fix it."""

from __future__ import annotations

import difflib
import json
import types
from collections.abc import Iterator
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from core.strict_yaml.document import KeyPath, YamlDocument


class StrictModel(BaseModel):
    """Base class of all configuration models: strict types, no unknown keys, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)


def _one_or_many(value: Any) -> Any:
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


Word = Annotated[str, Field(min_length=1)]
WordList = Annotated[tuple[Word, ...], BeforeValidator(_one_or_many), Field(min_length=1)]
"""One text or a non-empty list of texts; always read as a tuple."""

M = TypeVar("M", bound=BaseModel)

_MISTYPED: Final = {
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be a mapping of keys to values",
    "model_type": "must be a mapping of keys to values",
    "model_attributes_type": "must be a mapping of keys to values",
}


def validate(document: YamlDocument, model: type[M]) -> M:
    """Check `document` against `model`; raises `ConfigError` for the first error by line, unknown keys first.

    Types are strict as in JSON: a list may become a tuple and a text an enumeration, but a number never becomes a text.
    """
    try:
        valid = model.model_validate_json(json.dumps(document.tree))
    except ValidationError as error:
        errors = error.errors(include_url=False)
    else:
        for loc in _ignored_keys(valid, document.tree):
            raise document.error(loc, "unknown key", _did_you_mean(model, loc))
        return valid
    loc, details = min(
        ((_path_in_file(document, each["loc"]), each) for each in errors),
        key=lambda pair: (pair[1]["type"] != "extra_forbidden", document.line_of(pair[0]) or 0),
    )
    kind = details["type"]
    if kind == "extra_forbidden":
        raise document.error(loc, "unknown key", _did_you_mean(model, loc))
    if kind == "missing":
        missing = details["loc"][len(loc) :]
        raise document.error((*loc, *missing), "is missing", "Add the key.")
    raise document.error(loc, *_message_for(kind, details))


def _ignored_keys(value: Any, node: Any, at: KeyPath = ()) -> Iterator[KeyPath]:
    """The keys that pydantic ignores silently although extra keys are forbidden.

    When JSON uses the name of a field that has an alias, pydantic skips it (seen with pydantic-core 2.46).
    """
    if isinstance(value, BaseModel) and isinstance(node, dict):
        for name, field in type(value).model_fields.items():
            key = field.alias or name
            if key != name and name in node:
                yield (*at, name)
            if key in node:
                yield from _ignored_keys(getattr(value, name), node[key], (*at, key))
    elif isinstance(value, dict) and isinstance(node, dict):
        for key, inner in value.items():
            yield from _ignored_keys(inner, node.get(key), (*at, key))
    elif isinstance(value, list | tuple) and isinstance(node, list):
        for index, (inner, part) in enumerate(zip(value, node, strict=False)):
            yield from _ignored_keys(inner, part, (*at, index))


def _path_in_file(document: YamlDocument, loc: tuple[str | int, ...]) -> KeyPath:
    """`loc` without the parts that pydantic adds (names of union members), as far as the file has it."""
    path: KeyPath = ()
    node = document.tree
    for part in loc:
        inside = part in node if isinstance(node, dict) else isinstance(node, list) and part in range(len(node))
        if inside:
            node = node[part]
            path = (*path, part)
    return path


def _message_for(kind: str, details: Any) -> tuple[str, str]:
    """The message and the mend for one of pydantic's error types."""
    value, context = details["input"], details.get("ctx", {})
    if value is None:
        return "is empty (null)", "Give it a value, or delete the key."
    if kind in {"too_short", "string_too_short"}:
        return "must not be empty", "Give it a value, or delete the key."
    if kind in _MISTYPED:
        mend = "Put quotes around it." if kind == "string_type" and not isinstance(value, list | dict) else ""
        return f"{_MISTYPED[kind]}, not {_preview(value)}", mend
    if kind in {"literal_error", "enum"}:
        return f"{_preview(value)} is not one of {context.get('expected')}", "Use one of them."
    if kind == "value_error":
        message, _, mend = str(context.get("error", details["msg"])).partition("\n")
        return message, mend
    return f"{details['msg'][:1].lower()}{details['msg'][1:]}, not {_preview(value)}", ""


def _preview(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:59] + "…"


def _did_you_mean(model: type[BaseModel], loc: KeyPath) -> str:
    """A hint with the closest known key, or with all known keys."""
    known = sorted({name for candidate in _models_at(model, loc[:-1]) for name in _names(candidate)})
    wrong = str(loc[-1])
    folded = {name.lower(): name for name in known}
    close = difflib.get_close_matches(wrong.lower(), folded, n=1, cutoff=0.6)
    if close:
        return f"Did you mean {folded[close[0]]!r}?"
    return f"Known keys here: {', '.join(known)}." if known else "Delete it."


def _names(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield field.alias or name


def _models_at(model: type[BaseModel], loc: KeyPath) -> list[type[BaseModel]]:
    """The models that may stand at `loc`, found by following annotations."""
    annotations: list[Any] = [model]
    for part in loc:
        annotations = [inner for annotation in annotations for inner in _member_annotations(annotation, part)]
    return [candidate for annotation in annotations for candidate in _alternatives(annotation) if _is_model(candidate)]


def _member_annotations(annotation: Any, part: str | int) -> Iterator[Any]:
    """The annotations of the member `part` of `annotation`."""
    for inner in _alternatives(annotation):
        if _is_model(inner):
            for name, field in inner.model_fields.items():
                if (field.alias or name) == part:
                    yield field.annotation
        elif arguments := get_args(inner):
            yield arguments[-1] if isinstance(part, str) or arguments[-1] is not Ellipsis else arguments[0]


def _alternatives(annotation: Any) -> Iterator[Any]:
    """`annotation` without `Annotated`, split into the members of a union."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _alternatives(get_args(annotation)[0])
    elif origin in {Union, types.UnionType}:
        for alternative in get_args(annotation):
            yield from _alternatives(alternative)
    else:
        yield annotation


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
