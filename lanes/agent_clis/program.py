"""Where a program lies, and what of the host a sandbox must show so that it starts: itself, and what runs it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.model.change import show_path
from core.model.errors import Kind, Problem
from lanes.agent_clis.cli import AgentCliAdapter

_PYTHONS: Final = ("python", "pypy")


@dataclass(frozen=True, slots=True)
class ProgramPlace:
    """Where the configuration says that a program is, and further folders of the host that it needs to see."""

    program: Path
    programs: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class AgentProgram:
    """A program that is here: the words that start it, and what the sandbox must show for it."""

    words: tuple[str, ...]
    shown: tuple[Path, ...]


def find_program(
    cli: AgentCliAdapter, place: ProgramPlace | None = None, which: Callable[[str], str | None] = shutil.which
) -> AgentProgram | Problem:
    """The program of `cli`, at its place or in the PATH; or why there is none."""
    found = str(place.program) if place is not None else next(filter(None, map(which, cli.programs)), None)
    if found is None:
        return _problem(cli, f"the program {' or '.join(cli.programs)} is not in the PATH of this worker")
    real = Path(os.path.realpath(found))
    if not real.is_file() or not os.access(real, os.X_OK):
        return _problem(cli, f"{show_path(os.fsencode(found))} is not a program")
    if cli.inner is not None and (inner := cli.inner(real)) is not None:
        real = Path(os.path.realpath(inner))
    with real.open("rb") as file:
        first = file.readline(512)
    made = _script(real, first, which) if first.startswith(b"#!") else AgentProgram((str(real),), (_package(real),))
    if isinstance(made, str):
        return _problem(cli, made)
    return AgentProgram(made.words, (*made.shown, *(place.programs if place is not None else ())))


def _script(script: Path, first: bytes, which: Callable[[str], str | None]) -> AgentProgram | str:
    """A script with what runs it; why it cannot be run."""
    words = first[2:].decode("utf-8", "replace").split()
    if words and Path(words[0]).name == "env":
        words = [word for word in words[1:] if not word.startswith("-")]
    if not words:
        return f"{script} does not say what runs it"
    runner = words[0] if words[0].startswith("/") else which(words[0])
    if runner is None or not Path(runner).is_file():
        return f"{script} needs {words[0]}, which is not here"
    if Path(runner).name.startswith(_PYTHONS):
        return AgentProgram((runner, str(script)), _python(Path(runner), script))
    real = Path(os.path.realpath(runner))
    return AgentProgram((str(real), *words[1:], str(script)), (real, _package(script)))


def _python(runner: Path, script: Path) -> tuple[Path, ...]:
    """What a Python script needs: its environment, and the Python that the environment was made from."""
    root = runner.parent.parent
    if not (root / "pyvenv.cfg").is_file():
        real = Path(os.path.realpath(runner))
        return (real.parent.parent, script)
    return (root, Path(os.path.realpath(runner)).parent.parent)


def _package(program: Path) -> Path:
    """The folder that a program needs whole: all packages beside its own, its own, or only itself."""
    for folder in program.parents:
        if folder.name == "node_modules" and "node_modules" not in folder.parent.parts:
            return folder
    for folder in list(program.parents)[:6]:
        if (folder / "package.json").is_file():
            return folder
    return program


def _problem(cli: AgentCliAdapter, why: str) -> Problem:
    mend = (
        f"Install it ({cli.get}), or say where it is: agents: {{{cli.name}: {{program: /path/to/{cli.programs[0]}}}}}."
    )
    return Problem(Kind.UNAVAILABLE, "no_agent", f"The executor {cli.name} cannot run here: {why}", mend)
