"""Strict YAML, the home of PyYAML: `load` a file, `validate` it as a model; errors name file, line, key."""

from core.strict_yaml.document import KeyPath, YamlDocument, dotted, load, loads
from core.strict_yaml.model import StrictModel, Word, WordList, validate

__all__ = ["KeyPath", "StrictModel", "Word", "WordList", "YamlDocument", "dotted", "load", "loads", "validate"]
