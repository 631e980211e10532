"""Strict JSON for untrusted input: one object within bounds, and nothing that JSON parsers disagree about."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, Final, NoReturn

_INT64: Final = 2**63
_MAX_INT_DIGITS: Final = 20


class NotJsonError(ValueError):
    """The text is not one strict JSON object; the message says why and quotes none of the text."""


def read_object(text: str, *, max_chars: int, max_depth: int, what: str = "The answer") -> dict[str, Any]:
    """Parse `text` as exactly one JSON object; raises `NotJsonError`, about `what`, and nothing else.

    Bounds are checked first. Duplicate keys, NaN, numbers beyond 64 bits, lone surrogates and text around the object
    are refused, because programs disagree about them.
    """
    if len(text) > max_chars:
        raise NotJsonError(f"{what} has more than {max_chars} characters.")
    _check_depth(text, max_depth, what)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_int=_parse_int,
            parse_float=_parse_float,
        )
        json.dumps(value, ensure_ascii=False).encode()
    except NotJsonError:
        raise
    except (ValueError, RecursionError) as error:  # UnicodeEncodeError and JSONDecodeError are ValueErrors
        raise NotJsonError(f"{what} is not one JSON object and nothing else.") from error
    if not isinstance(value, dict):
        raise NotJsonError(f"{what} is JSON, but not an object.")
    return value


def _check_depth(text: str, max_depth: int, what: str) -> None:
    """Count brackets outside strings first, so that the parser never recurses too deeply."""
    depth, in_string, escaped = 0, False, False
    for char in text:
        if in_string:
            in_string = escaped or char != '"'
            escaped = char == "\\" and not escaped
        elif char == '"':
            in_string = True
        elif char in "[{":
            depth += 1
            if depth > max_depth:
                raise NotJsonError(f"{what} is nested deeper than {max_depth}.")
        elif char in "]}":
            depth -= 1


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise NotJsonError("A key appears twice.")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise NotJsonError(f"{name} is not JSON.")


def _parse_int(digits: str) -> int:
    if len(digits) > _MAX_INT_DIGITS or not -_INT64 <= int(digits) < _INT64:
        raise NotJsonError("A number does not fit into 64 bits.")
    return int(digits)


def _parse_float(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise NotJsonError("A number does not fit into 64 bits.")
    return number
