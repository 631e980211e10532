"""Examines the page that a browser shows by axe-core, as `make counterparts` fetched it."""

from __future__ import annotations

from functools import cache
from typing import Any

from tests.counterparts import package

_RUN = "only => axe.run(document, {resultTypes: ['violations'], ...only})"


@cache
def axe_core() -> str:
    """The program; a test without it skips, or fails with CI=true."""
    return (package("axe-core") / "axe.min.js").read_text(encoding="utf-8")


async def serious_faults(page: Any, *schemes: str) -> list[str]:
    """What keeps people from using a page, in these colour schemes: what axe-core calls serious or critical.

    Schemes after the first are examined for contrast alone, which is all that they change.
    """
    await page.evaluate(axe_core())
    faults = []
    for n, scheme in enumerate(schemes):
        await page.emulate_media(color_scheme=scheme)
        found = await page.evaluate(_RUN, {"runOnly": ["color-contrast"]} if n else {})
        faults += [
            f"{scheme}: {each['id']}: {each['nodes'][0]['html']} {each['nodes'][0]['failureSummary']}"
            for each in found["violations"]
            if each["impact"] in ("serious", "critical")
        ]
    return faults
