"""The doctor's rows about surfaces: what each says of itself, and whether `serve` cannot reach it."""

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
    """The rows of every configured surface; a section that is not valid has its row already."""
    from bot.wiring.surfaces import surfaces_of

    checks: list[DoctorRow] = []
    try:
        configured = app.config.surfaces()
    except CountersignError:
        return []
    if configured.github is not None and configured.github.webhook_secret is None:
        mend = "Set COUNTERSIGN_GITHUB_WEBHOOK_SECRET, or name a webhook_secret_file; or say `comments: false`."
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
    """What one surface says of itself; an answer that its adapter cannot handle is a row like any other."""
    try:
        async with asyncio.timeout(SURFACE_S):
            rows = await surface.check()
    except TimeoutError:
        return [row(name, "fail", f"did not answer within {SURFACE_S:g} s", "Look at the network.")]
    except CountersignError as error:
        return [failed_row(name, error.problem)]
    except Exception as error:  # noqa: BLE001 - an odd answer must not end the other checks
        return [_odd_answer(name, error)]
    finally:
        await surface.close()
    return [row(each["check"], each["verdict"], each["detail"], each["mend"]) for each in rows]


async def _seen_down(app: App, name: str) -> list[DoctorRow]:
    problem = await app.home_checks.surface_trouble(name)
    if problem is None:
        return []
    mend = str(problem.mend) or "It is tried again by itself."
    return [warning_row(f"{name} in serve", f"down: {problem.message}", mend)]


def _odd_answer(name: str, error: Exception) -> DoctorRow:
    """An answer that breaks the adapter; its words may be people's, so only its place is named."""
    from core.log import fault_of

    fault = fault_of(error)
    mend = "The platform's answer is not as expected; see whether a newer version of Countersign reads it."
    return row(name, "fail", f"could not be looked at: {fault['why']} at {fault['at']}", mend)
