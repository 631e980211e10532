"""Values put where a step names their parameters: each as one whole text, which nothing reads again."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Final

from core.model.edits import Edit
from core.model.errors import Kind, PermanentError, UsageError
from core.model.workflow import Parameter, filled, named_in

__all__ = ["ReadSentence", "argv", "edits", "filled", "is_program", "named_in", "reads_nothing"]

ReadSentence = Callable[[str], tuple[Edit, ...]]
"""What a plain sentence asks for; raises `UsageError` for one that is not understood."""


def reads_nothing(sentence: str) -> tuple[Edit, ...]:
    """A `ReadSentence` for where no grammar is: edit steps say so, all others run."""
    raise UsageError("not_understood", f"nothing here reads the sentence {sentence[:60]!r}", "Wire a grammar in.")


_BEFORE_A_PROGRAM: Final = re.compile(r"-[A-Za-z]*[ceE]|--(?:eval|command|execute|expression)")


def is_program(command: Sequence[str], n: int) -> bool:
    """Whether the word `n` of a command is a program in itself (after ``-c`` or ``-e``): no value is put into that."""
    return "\n" in command[n] or (n > 0 and _BEFORE_A_PROGRAM.fullmatch(command[n - 1]) is not None)


def argv(step: str, command: Sequence[str], values: Mapping[str, str]) -> tuple[str, ...]:
    """The command with the values in it, word by word: a value adds no word, and cannot become an option."""
    words = []
    for n, word in enumerate(command):
        if is_program(command, n):
            words.append(word)
            continue
        said = filled(word, values)
        if said.startswith("-") and not word.startswith("-"):
            raise PermanentError(
                "bad_parameter",
                f"the step {step} would take the value {said[:60]!r} for an option",
                "Give a value that does not begin with a dash.",
                kind=Kind.USAGE,
            )
        words.append(said)
    return tuple(words)


def edits(sentence: str, parameters: Sequence[Parameter], values: Mapping[str, str], read: ReadSentence) -> list[Edit]:
    """The edits that a sentence with parameters asks for.

    The sentence is read with stand-ins and the values are put into what was understood, so that no value changes what
    is done. Raises `ValueError` where a parameter stands in no place for a value, or a value fits no such edit.
    """
    types = {parameter.name: parameter.type for parameter in parameters}
    stands = {name: _stand_in(n, types[name], sentence) for n, name in enumerate(dict.fromkeys(named_in(sentence)))}
    understood = read(filled(sentence, stands))
    said = [text for edit in understood for text in _texts(edit).values()]
    for name, stand in stands.items():
        left = [text.replace(stand, "") for text in said]
        if left == said or any(_token(stand) in text for text in left):
            raise ValueError(f"the parameter {name} stands where it decides what the sentence means")
    return [_with_values(edit, {stands[name]: values[name] for name in stands}) for edit in understood]


def stand_ins(parameters: Sequence[Parameter]) -> dict[str, str]:
    """A value of each parameter to try a sentence with."""
    typical = {"integer": "1", "boolean": "true", "path": "some/file.txt", "version": "1.2.3"}
    return {each.name: each.choices[0] if each.choices else typical.get(each.type, "word") for each in parameters}


def _stand_in(n: int, type_: str, sentence: str) -> str:
    """A word that looks like a value of the type, and that the sentence does not hold."""
    token = f"zq{n}qz"
    while token in sentence:
        token = f"z{token}z"
    return {"version": f"0.0.0+{token}", "path": f"{token}.x"}.get(type_, token)


def _token(stand: str) -> str:
    return stand.removeprefix("0.0.0+").removesuffix(".x")


def _texts(edit: Edit) -> dict[str, str]:
    values = {field.name: getattr(edit, field.name) for field in fields(edit)}
    return {name: value for name, value in values.items() if isinstance(value, str)}


def _with_values(edit: Edit, values: Mapping[str, str]) -> Edit:
    """The edit with every stand-in replaced at once, and checked as any edit is."""
    if not values:
        return edit
    any_of = re.compile("|".join(re.escape(stand) for stand in values))
    changed: dict[str, Any] = {
        name: any_of.sub(lambda found: values[found.group()], text) for name, text in _texts(edit).items()
    }
    made: Edit = replace(edit, **changed)
    return made
