"""Strict YAML, the home of PyYAML: `load` a file, `validate` it as a model; errors name file, line, key."""

from core.strict_yaml.document import Document, KeyPath, dotted, load, loads
from core.strict_yaml.model import StrictModel, Word, Words, validate

__all__ = ["Document", "KeyPath", "StrictModel", "Word", "Words", "dotted", "load", "loads", "validate"]
