"""Finds an installed agent program, and the host paths that a sandbox must mount so that it starts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.model.change import show_path
from core.model.errors import Kind, Problem
from lanes.agent_clis.adapter import AgentCliAdapter

_PYTHONS: Final = ("python", "pypy")


@dataclass(frozen=True, slots=True)
class ProgramPlace:
    """The configured location of a program, and further host folders that it needs."""

    program: Path
    extra_paths: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class AgentProgram:
    """An installed program: the argv that starts it, and the paths to mount."""

    argv: tuple[str, ...]
    mounts: tuple[Path, ...]


def find_program(
    adapter: AgentCliAdapter, place: ProgramPlace | None = None, which: Callable[[str], str | None] = shutil.which
) -> AgentProgram | Problem:
    """The program of `adapter`, at its configured place or in the PATH; or why there is none."""
    path = str(place.program) if place is not None else next(filter(None, map(which, adapter.program_names)), None)
    if path is None:
        return _problem(adapter, f"{' or '.join(adapter.program_names)} is not in the PATH of this worker")
    real = Path(os.path.realpath(path))
    if not real.is_file() or not os.access(real, os.X_OK):
        return _problem(adapter, f"{show_path(os.fsencode(path))} is not an executable file")
    if adapter.find_binary is not None and (binary := adapter.find_binary(real)) is not None:
        real = Path(os.path.realpath(binary))
    with real.open("rb") as file:
        first_line = file.readline(512)
    program = (
        _script_program(real, first_line, which)
        if first_line.startswith(b"#!")
        else AgentProgram((str(real),), (_package_folder(real),))
    )
    if isinstance(program, str):
        return _problem(adapter, program)
    return AgentProgram(program.argv, (*program.mounts, *(place.extra_paths if place is not None else ())))


def _script_program(script: Path, first_line: bytes, which: Callable[[str], str | None]) -> AgentProgram | str:
    """A script and its interpreter; or why it cannot be run."""
    interpreter = first_line[2:].decode("utf-8", "replace").split()
    if interpreter and Path(interpreter[0]).name == "env":
        interpreter = [word for word in interpreter[1:] if not word.startswith("-")]
    if not interpreter:
        return f"{script} names no interpreter in its first line"
    runner = interpreter[0] if interpreter[0].startswith("/") else which(interpreter[0])
    if runner is None or not Path(runner).is_file():
        return f"{script} needs {interpreter[0]}, which is not installed"
    if Path(runner).name.startswith(_PYTHONS):
        return AgentProgram((runner, str(script)), _python_mounts(Path(runner), script))
    real = Path(os.path.realpath(runner))
    return AgentProgram((str(real), *interpreter[1:], str(script)), (real, _package_folder(script)))


def _python_mounts(runner: Path, script: Path) -> tuple[Path, ...]:
    """The paths that a Python script needs: its virtual environment, and the Python that created it."""
    root = runner.parent.parent
    if not (root / "pyvenv.cfg").is_file():
        real = Path(os.path.realpath(runner))
        return (real.parent.parent, script)
    return (root, Path(os.path.realpath(runner)).parent.parent)


def _package_folder(program: Path) -> Path:
    """The folder that a program needs: the node_modules it is in, its package, or only itself."""
    for folder in program.parents:
        if folder.name == "node_modules" and "node_modules" not in folder.parent.parts:
            return folder
    for folder in list(program.parents)[:6]:
        if (folder / "package.json").is_file():
            return folder
    return program


def _problem(adapter: AgentCliAdapter, reason: str) -> Problem:
    setting = f"{{{adapter.name}: {{program: /path/to/{adapter.program_names[0]}}}}}"
    mend = f"Install it ({adapter.install_hint}), or set its location: agents: {setting}."
    return Problem(Kind.UNAVAILABLE, "no_agent", f"The executor {adapter.name} cannot run here: {reason}", mend)
