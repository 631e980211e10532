"""Holding the bot to the documentation: its parameters against aiogram's description of each method."""

from __future__ import annotations

import json
import types
from typing import Any, Union, get_args, get_origin

from aiogram import methods as documented
from aiohttp import web
from pydantic import BaseModel, ValidationError

from tests.fakes.telegram.api import Params, Refusal
from tests.fakes.telegram.model import Upload


def checked_params(name: str, params: Params) -> Params:
    """The parameters, held against the documentation by aiogram's class of the method."""
    shape: Any = class_of(name)
    unknown = [key for key in params if key not in shape.model_fields]
    fields = shape.model_fields
    deprecated = [k for k in params if "deprecated" in str(getattr(fields.get(k), "json_schema_extra", ""))]
    if unknown or deprecated:
        raise Refusal(400, f"Bad Request: parameters {unknown + deprecated} are not documented", ours=True)
    plain = {key: value for key, value in params.items() if not isinstance(value, Upload)}
    uploads = {key: value for key, value in params.items() if isinstance(value, Upload)}
    typed = {key: decoded(shape, key, value) for key, value in plain.items()}
    try:
        found = shape.model_validate({**typed, **dict.fromkeys(uploads, "attach://it")})
    except ValidationError as error:
        raise Refusal(400, f"Bad Request: can't parse parameters: {error}", ours=True) from error
    strict(found)
    values = found.model_dump(mode="python", exclude_unset=True, exclude_none=True)
    return {**values, **uploads}


async def params_of(request: web.Request) -> dict[str, Any]:
    """The parameters however they came: address, form, parts, JSON."""
    found: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        return found | dict(await request.json())
    for key, value in (await request.post()).items():
        if isinstance(value, web.FileField):
            found[key] = Upload(value.filename, value.file.read(), value.content_type)
        else:
            found[key] = value
    for key, value in list(found.items()):  # a file may come beside the parameter that names it
        if isinstance(value, str) and value.startswith("attach://"):
            found[key] = found.pop(value.removeprefix("attach://"))
    return found


def class_of(name: str) -> Any:
    """aiogram's description of a method."""
    return getattr(documented, name[0].upper() + name[1:])


def decoded(shape: type[BaseModel], key: str, value: Any) -> Any:
    """A form's text as the parameter's type wants it: JSON for all that is not plain text."""
    field = shape.model_fields[key]
    union = get_origin(field.annotation) in (Union, types.UnionType)
    kinds = get_args(field.annotation) if union else (field.annotation,)
    if not isinstance(value, str) or str in kinds:
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise Refusal(400, f"Bad Request: can't parse {key} JSON object", ours=True) from error


def strict(value: Any) -> None:
    """Fail on any field that aiogram, and so the documentation, does not know."""
    if isinstance(value, list | tuple):
        for item in value:
            strict(item)
    elif isinstance(value, BaseModel):
        if value.model_extra:
            raise Refusal(400, f"Bad Request: {type(value).__name__} has no {sorted(value.model_extra)}", ours=True)
        for name in value.model_fields_set & set(type(value).model_fields):
            strict(getattr(value, name))
