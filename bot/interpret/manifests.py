"""Finds the manifest of a package when a request names no file, which decides the applicable policy."""

from __future__ import annotations

from dataclasses import replace

from core.log import log
from core.model.edit_description import describe
from core.model.edits import BumpPackage, Edit
from core.model.errors import PermanentError, TransientError
from core.model.intent import Unclear
from core.ports.interpretation import InterpretationContext

_MAX_OPTIONS = 4


async def locate_packages(edits: tuple[Edit, ...], context: InterpretationContext) -> tuple[Edit, ...] | Unclear:
    """The edits with the file of each package that exactly one manifest names; with several, a question.

    What cannot be looked up now stays as it is: the executor looks again, and reports what it finds.
    """
    located: list[Edit] = []
    for edit in edits:
        candidates = (
            await _manifests_naming(edit, context) if isinstance(edit, BumpPackage) and edit.path is None else []
        )
        if isinstance(edit, BumpPackage) and len(candidates) == 1:
            located.append(replace(edit, path=candidates[0]))
        elif isinstance(edit, BumpPackage) and candidates and len(edits) == 1:
            ways = tuple(describe(replace(edit, path=path)) for path in candidates)
            return Unclear(f"{len(candidates)} files name {edit.package}. Which one?", options=ways[:_MAX_OPTIONS])
        else:
            located.append(edit)
    return tuple(located)


async def _manifests_naming(edit: BumpPackage, context: InterpretationContext) -> list[str]:
    """The manifests of the repository that name the package."""
    if context.files is None or context.read is None:
        return []
    from lanes.executors import manifests  # it reads every format of a manifest, which few requests need

    paths: list[str] = []
    try:
        for path in manifests.find_manifests(await context.files()):
            content = await context.read(path)
            if content is not None and _names(path, content, edit.package):
                paths.append(path)
    except (TransientError, PermanentError) as error:
        log.info("manifests_not_read", why=error.problem.message)
        return []
    return paths


def _names(path: str, content: bytes, package: str) -> bool:
    from lanes.executors import manifests
    from lanes.executors.errors import EditError

    try:
        return bool(manifests.find_mentions(path, content, package))
    except EditError:
        return False  # an unreadable manifest names no package; a request with its path reports the error
