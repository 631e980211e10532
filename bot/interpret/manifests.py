"""Which file a package is bumped in when a request names none: the one that lists it, and which policy then judges."""

from __future__ import annotations

from dataclasses import replace

from core.log import log
from core.model.edits import BumpPackage, Edit, describe
from core.model.errors import PermanentError, TransientError
from core.model.intent import Unclear
from core.ports import InterpretationContext
from lanes.executors import manifests
from lanes.executors.errors import EditError

_MOST_OPTIONS = 4


async def with_manifests(edits: tuple[Edit, ...], scene: InterpretationContext) -> tuple[Edit, ...] | Unclear:
    """The edits with the file of each package that one manifest names; where several name it, it is asked which.

    What cannot be looked up now stays as it is: the executor looks again, and says what it finds.
    """
    found: list[Edit] = []
    for edit in edits:
        naming = await _naming(edit, scene) if isinstance(edit, BumpPackage) and edit.path is None else []
        if isinstance(edit, BumpPackage) and len(naming) == 1:
            found.append(replace(edit, path=naming[0]))
        elif isinstance(edit, BumpPackage) and naming and len(edits) == 1:
            ways = tuple(describe(replace(edit, path=path)) for path in naming)
            return Unclear(f"{len(naming)} files name {edit.package}. Which one?", options=ways[:_MOST_OPTIONS])
        else:
            found.append(edit)
    return tuple(found)


async def _naming(edit: BumpPackage, scene: InterpretationContext) -> list[str]:
    """The manifests of the repository that name the package."""
    if scene.files is None or scene.read is None:
        return []
    naming: list[str] = []
    try:
        for path in manifests.find_manifests(await scene.files()):
            content = await scene.read(path)
            if content is not None and _names(path, content, edit.package):
                naming.append(path)
    except (TransientError, PermanentError) as error:
        log.info("manifests_not_read", why=error.problem.message)
        return []
    return naming


def _names(path: str, content: bytes, package: str) -> bool:
    try:
        return bool(manifests.find_mentions(path, content, package))
    except EditError:
        return False  # a manifest that cannot be read names no package; asked for by its path it tells why
