"""JSON as a model or another stranger wrote it, read strictly: one object, and nothing that JSON leaves open."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, Final, NoReturn

_INT64: Final = 2**63
_LONGEST_INT: Final = 20


class NotJsonError(ValueError):
    """A text that is no such object; the one sentence says why, and quotes nothing of it."""


def read_object(text: str, *, most_chars: int, most_depth: int) -> dict[str, Any]:
    """The one object that `text` is; raises `NotJsonError`, and nothing else.

    Bounds come first. Keys given twice, NaN, numbers beyond 64 bits, halves of surrogate pairs and words around the
    object are refused, for programs differ about them.
    """
    if len(text) > most_chars:
        raise NotJsonError(f"The answer has more than {most_chars} characters.")
    _check_depth(text, most_depth)
    try:
        tree = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_int=_whole, parse_float=_real
        )
        json.dumps(tree, ensure_ascii=False).encode()
    except NotJsonError:
        raise
    except (ValueError, RecursionError) as error:  # UnicodeEncodeError and JSONDecodeError are ValueErrors
        raise NotJsonError("The answer is not one JSON object and nothing else.") from error
    if not isinstance(tree, dict):
        raise NotJsonError("The answer is JSON, but not an object.")
    return tree


def _check_depth(text: str, most_depth: int) -> None:
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
            if depth > most_depth:
                raise NotJsonError(f"The answer is nested deeper than {most_depth}.")
        elif char in "]}":
            depth -= 1


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise NotJsonError("A key is given twice.")
    return made


def _constant(name: str) -> NoReturn:
    raise NotJsonError(f"{name} is not JSON.")


def _whole(digits: str) -> int:
    if len(digits) > _LONGEST_INT or not -_INT64 <= int(digits) < _INT64:
        raise NotJsonError("A number does not fit into 64 bits.")
    return int(digits)


def _real(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise NotJsonError("A number does not fit into 64 bits.")
    return number
