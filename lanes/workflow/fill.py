"""Fills parameter values into steps; each value is inserted as one text that is never parsed again."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Final

from core.model.edits import Edit
from core.model.errors import Kind, PermanentError, UsageError
from core.model.workflow import Parameter, filled, named_in

__all__ = ["ReadSentence", "fill_command", "fill_edits", "filled", "is_program", "named_in", "no_grammar"]

ReadSentence = Callable[[str], tuple[Edit, ...]]
"""Parses a plain sentence into edits; raises `UsageError` when it is not understood."""


def no_grammar(sentence: str) -> tuple[Edit, ...]:
    """A `ReadSentence` for installations without a grammar: edit steps fail, all others run."""
    raise UsageError(
        "not_understood", f"This installation cannot read the sentence {sentence[:60]!r}", "Use a command step."
    )


_CODE_OPTION: Final = re.compile(r"-[A-Za-z]*[ceE]|--(?:eval|command|execute|expression)")


def is_program(command: Sequence[str], n: int) -> bool:
    """True if the argument `n` is program code (after ``-c`` or ``-e``), into which no value is filled."""
    return "\n" in command[n] or (n > 0 and _CODE_OPTION.fullmatch(command[n - 1]) is not None)


def fill_command(step: str, command: Sequence[str], values: Mapping[str, str]) -> tuple[str, ...]:
    """The command with values filled in; a value never adds an argument and cannot become an option."""
    argv = []
    for n, word in enumerate(command):
        if is_program(command, n):
            argv.append(word)
            continue
        text = filled(word, values)
        if text.startswith("-") and not word.startswith("-"):
            raise PermanentError(
                "bad_parameter",
                f"The step {step} would read the value {text[:60]!r} as an option",
                "Give a value that does not begin with a dash.",
                kind=Kind.USAGE,
            )
        argv.append(text)
    return tuple(argv)


def fill_edits(
    sentence: str, parameters: Sequence[Parameter], values: Mapping[str, str], read: ReadSentence
) -> list[Edit]:
    """The edits that a sentence with parameters asks for.

    The sentence is parsed with placeholder words, and the values are filled into the parsed edits, so no value can
    change what is done.

    Raises:
        ValueError: A parameter is not in a place for a value, or a value is not valid for the edit.
    """
    types = {parameter.name: parameter.type for parameter in parameters}
    placeholders = {
        name: _placeholder(n, types[name], sentence) for n, name in enumerate(dict.fromkeys(named_in(sentence)))
    }
    parsed = read(filled(sentence, placeholders))
    texts = [text for edit in parsed for text in _texts(edit).values()]
    for name, placeholder in placeholders.items():
        remaining = [text.replace(placeholder, "") for text in texts]
        if remaining == texts or any(_token(placeholder) in text for text in remaining):
            raise ValueError(f"the parameter {name} is in a place where it changes what the sentence means")
    return [_with_values(edit, {placeholders[name]: values[name] for name in placeholders}) for edit in parsed]


def sample_values(parameters: Sequence[Parameter]) -> dict[str, str]:
    """A sample value of each parameter, to validate a sentence with."""
    typical = {"integer": "1", "boolean": "true", "path": "some/file.txt", "version": "1.2.3"}
    return {
        parameter.name: parameter.choices[0] if parameter.choices else typical.get(parameter.type, "word")
        for parameter in parameters
    }


def _placeholder(n: int, type_: str, sentence: str) -> str:
    """A placeholder that looks like a value of the type and does not occur in the sentence."""
    token = f"zq{n}qz"
    while token in sentence:
        token = f"z{token}z"
    return {"version": f"0.0.0+{token}", "path": f"{token}.x"}.get(type_, token)


def _token(placeholder: str) -> str:
    return placeholder.removeprefix("0.0.0+").removesuffix(".x")


def _texts(edit: Edit) -> dict[str, str]:
    values = {field.name: getattr(edit, field.name) for field in fields(edit)}
    return {name: value for name, value in values.items() if isinstance(value, str)}


def _with_values(edit: Edit, values: Mapping[str, str]) -> Edit:
    """The edit with all placeholders replaced at once, and validated like any edit."""
    if not values:
        return edit
    pattern = re.compile("|".join(re.escape(placeholder) for placeholder in values))
    changed: dict[str, Any] = {
        name: pattern.sub(lambda match: values[match.group()], text) for name, text in _texts(edit).items()
    }
    filled_edit: Edit = replace(edit, **changed)
    return filled_edit
