"""The doctor's rows about surfaces: the checks of each surface, and whether `serve` cannot reach it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from bot.operations.doctor_rows import DoctorRow, failed_row, row, warning_row
from bot.surfaces.port import Surface
from core.model.errors import CountersignError

if TYPE_CHECKING:
    from bot.wiring.app import App

SURFACE_S: Final = 20.0
"""How long a surface may take to answer."""


async def surfaces_checks(app: App) -> list[DoctorRow]:
    """The rows of every configured surface; a section that is not valid is reported elsewhere."""
    from bot.wiring.surfaces import surfaces_of

    checks: list[DoctorRow] = []
    try:
        configured = app.config.surfaces()
    except CountersignError:
        return []
    if configured.github is not None and configured.github.webhook_secret is None:
        mend = "Set COUNTERSIGN_GITHUB_WEBHOOK_SECRET or webhook_secret_file, or set `comments: false`."
        checks.append(warning_row("github comments", "comments are not received: the webhooks have no secret", mend))
    try:
        surfaces = await surfaces_of(app)
    except CountersignError as error:
        return [*checks, failed_row("surfaces", error.problem)]
    for name, surface in surfaces.items():
        checks.extend(await surface_checks(name, surface))
        checks.extend(await _seen_down(app, name))
    return checks


async def surface_checks(name: str, surface: Surface) -> list[DoctorRow]:
    """The rows of one surface's own checks; an answer that its adapter cannot handle becomes a row too."""
    try:
        async with asyncio.timeout(SURFACE_S):
            rows = await surface.check()
    except TimeoutError:
        return [row(name, "fail", f"did not answer within {SURFACE_S:g} s", "Check the network.")]
    except CountersignError as error:
        return [failed_row(name, error.problem)]
    except Exception as error:  # noqa: BLE001 - an unexpected answer must not end the other checks
        return [_unexpected_answer(name, error)]
    finally:
        await surface.close()
    return [row(each["check"], each["verdict"], each["detail"], each["mend"]) for each in rows]


async def _seen_down(app: App, name: str) -> list[DoctorRow]:
    problem = await app.home_checks.surface_trouble(name)
    if problem is None:
        return []
    mend = str(problem.mend) or "`serve` reconnects by itself."
    return [warning_row(f"{name} in serve", f"down: {problem.message}", mend)]


def _unexpected_answer(name: str, error: Exception) -> DoctorRow:
    """An answer that the adapter cannot handle; it may contain people's text, so only the code location is shown."""
    from core.log import fault_of

    fault = fault_of(error)
    mend = "The platform's answer is not as expected; check for a newer version of Countersign."
    return row(name, "fail", f"could not be checked: {fault['why']} at {fault['at']}", mend)
