"""Strict YAML (the only package that imports PyYAML): `load` reads a file, `validate` checks it against a model.

Errors name the file, the line and the key.
"""

from core.strict_yaml.document import KeyPath, YamlDocument, dotted, load, loads
from core.strict_yaml.model import StrictModel, Word, WordList, validate

__all__ = ["KeyPath", "StrictModel", "Word", "WordList", "YamlDocument", "dotted", "load", "loads", "validate"]
