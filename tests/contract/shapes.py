"""JSON Schema as far as `countersign schema` uses it: enough to hold a document to what is printed there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

KNOWN = frozenset(
    {"$schema", "title", "description", "type", "enum", "const", "anyOf", "properties", "required", "items"}
    | {"pattern", "minimum", "format"}
)
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}


def faults(value: Any, schema: dict[str, Any], where: str = "$") -> list[str]:
    """Everything about `value` that `schema` forbids, each with its place; raises on words this does not know."""
    assert set(schema) <= KNOWN, f"{where}: the validator does not know {set(schema) - KNOWN}"
    return list(_faults(value, schema, where))


def _faults(value: Any, schema: dict[str, Any], where: str) -> Iterator[str]:
    if "anyOf" in schema and all(faults(value, choice, where) for choice in schema["anyOf"]):
        yield f"{where}: {value!r} is none of the choices"
    if "const" in schema and value != schema["const"]:
        yield f"{where}: {value!r} is not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where}: {value!r} is not in {schema['enum']}"
    wanted = TYPES.get(schema.get("type", ""))
    if wanted is not None and (not isinstance(value, wanted) or (wanted is int and isinstance(value, bool))):
        yield f"{where}: {value!r} is no {schema['type']}"
        return
    yield from _details(value, schema, where)


def _details(value: Any, schema: dict[str, Any], where: str) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (f"{where}: lacks {name}" for name in schema.get("required", ()) if name not in value)
        for name, inner in schema.get("properties", {}).items():
            if name in value:
                yield from faults(value[name], inner, f"{where}.{name}")
    if isinstance(value, list) and "items" in schema:
        for n, item in enumerate(value):
            yield from faults(item, schema["items"], f"{where}[{n}]")
    if isinstance(value, str):
        if "pattern" in schema and not re.search(schema["pattern"], value):
            yield f"{where}: {value!r} does not match {schema['pattern']}"
        if schema.get("format") == "date-time" and datetime.fromisoformat(value).tzinfo is None:
            yield f"{where}: {value!r} has no zone"
    if isinstance(value, int) and value < schema.get("minimum", value):
        yield f"{where}: {value} is below {schema['minimum']}"
