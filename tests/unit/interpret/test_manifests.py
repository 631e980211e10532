"""A package that is bumped without a file: the file that lists it is found first, so that policy judges that one."""

from __future__ import annotations

from collections.abc import Mapping

from bot.interpret import GrammarInterpreter
from core.model.edits import BumpPackage
from core.model.errors import TransientError
from core.model.intent import Intent, Unclear
from tests.unit.interpret.contexts import context, turns

BUMP = "bump httpx to 0.28"
PINS = b"httpx==0.27\n"


async def read(files: Mapping[str, bytes], text: str = BUMP, *, down: bool = False):
    async def reading(path: str) -> bytes | None:
        if down:
            raise TransientError("remote_down", "the remote does not answer")
        return files.get(path)

    where = context(files=tuple(files), read=reading)
    return await GrammarInterpreter().interpret(turns(text), where)


async def test_the_one_file_that_names_it_is_meant():
    files = {"requirements.txt": PINS, "requirements-dev.txt": b"ruff\n", "vendor/requirements.txt": PINS}
    assert await read(files) == Intent(BUMP, (BumpPackage("httpx", "0.28", "requirements.txt"),))


async def test_of_several_files_it_is_asked_which():
    asked = await read({"requirements.txt": PINS, "api/requirements.txt": PINS})
    assert isinstance(asked, Unclear)
    assert asked.reason == "2 files name httpx. Which one?"
    assert asked.options == ("bump httpx to 0.28 in requirements.txt", "bump httpx to 0.28 in api/requirements.txt")


async def test_what_cannot_be_looked_up_is_left_to_the_executor():
    open_bump = Intent(BUMP, (BumpPackage("httpx", "0.28"),))
    assert await read({"requirements.txt": b"ruff\n"}) == open_bump
    assert await read({"pyproject.toml": b"not [ toml"}) == open_bump
    assert await read({"requirements.txt": PINS}, down=True) == open_bump
    assert not open_bump.is_located
    assert await GrammarInterpreter().interpret(turns(BUMP), context()) == open_bump
