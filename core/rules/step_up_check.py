"""Whether a session may change what its person proves with: other devices, codes, and new passkeys."""

from __future__ import annotations

from typing import Final

from core.model.errors import RefusedError
from core.store import authenticators, passkeys, web_sessions
from core.store.unit_of_work import Tx

STEP_UP_S: Final = 600
"""How long a session that proved more may change what its person can prove with."""


async def check_stepped_up(tx: Tx, person: str, session: str) -> None:
    """Raise `RefusedError` if `person` has a proof to step up with, and `session` did not within `STEP_UP_S`.

    Otherwise a thief of a session would add a proof of their own, and step up with that one.
    """
    has_app = await authenticators.of_person(tx, person) is not None
    if not has_app and not await passkeys.of_person(tx, person):
        return
    row = await web_sessions.of_id(tx, session)
    if row is None or row.stepped_up_ms is None or row.stepped_up_ms <= tx.now_ms - STEP_UP_S * 1000:
        mend = "Open your name, then Prove that it is you; then try again."
        raise RefusedError("step_up", "this needs a proof that it is you, within the last ten minutes", mend)
