"""Masking of secrets in JSON documents by the `Mask` of the settings in force."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Mask = Callable[[str], str]
"""Returns a text without the secrets in it."""


def shows_all(text: str) -> str:
    """A `Mask` that masks nothing."""
    return text


def masked(value: Any, mask: Mask) -> Any:
    """A JSON value with every text in it masked; keys stay as they are."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {key: masked(inner, mask) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [masked(inner, mask) for inner in value]
    return value
