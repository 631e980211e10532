"""What `verify` says of passkeys: which approvals people signed themselves, and which only the home attests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from core.model.errors import UsageError
from core.model.passkey import TrustedPasskey
from core.rules.passkey_proof import ApprovalProof, prove
from core.rules.quorum import signed_quorum

MAX_BYTES: Final = 1024 * 1024
NAME: Final = "passkeys"
_KEYS: Final = {"person", "credential_id", "public_key", "rp_id", "origins"}


def read_trusted(path: Path) -> tuple[TrustedPasskey, ...]:
    """The passkeys in a file that the verifier trusts; raises `UsageError` for a file of another form."""
    mend = "Get it from the person: their name, at the top of the pages, then Passkeys, then Public key."
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError("bad_passkey_file", f"{path} cannot be read: {error.strerror}", mend) from error
    try:
        if len(raw) > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES} bytes")
        entries = json.loads(raw)["passkeys"]
        return tuple(map(_trusted, entries))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError("bad_passkey_file", f"{path} is not a file of passkeys", mend) from error


def _trusted(entry: Mapping[str, Any]) -> TrustedPasskey:
    if set(entry) != _KEYS or not isinstance(entry["origins"], list):
        raise ValueError(f"an entry has exactly the keys {', '.join(sorted(_KEYS))}")
    texts = [entry["person"], entry["credential_id"], entry["public_key"], entry["rp_id"], *entry["origins"]]
    if not all(isinstance(text, str) and text for text in texts) or not entry["origins"]:
        raise ValueError("every value is a text, and origins is a list of them")
    origins = tuple(entry["origins"])
    return TrustedPasskey(entry["person"], entry["credential_id"], entry["public_key"], entry["rp_id"], origins)


def passkey_check(predicate: Mapping[str, Any], home: str, trusted: Sequence[TrustedPasskey]) -> dict[str, Any]:
    """The check of a receipt's approvals; with `trusted` passkeys it fails unless they prove the whole quorum.

    ``proven`` are the people whose trusted passkey signed exactly the receipt's approval.
    """
    proofs = prove(predicate, home, trusted)
    needs = signed_quorum(predicate)
    proven = sorted({proof.person for proof in proofs if proof.is_proven} & set(needs.have))
    detail = "; ".join(_sentence(proof, has_file=bool(trusted)) for proof in proofs) or "no approvals"
    is_short = bool(trusted) and len(proven) < max(1, needs.count)  # a receipt cannot say that none is needed
    return {
        "name": NAME,
        "verdict": "fail" if is_short else "ok",
        "detail": detail,
        "mend": "Trust the home for the rest: leave --passkey out." if is_short else "",
        "proven": proven,
    }


def _sentence(proof: ApprovalProof, *, has_file: bool) -> str:
    if proof.is_proven:
        return f"signed by {proof.person}'s passkey"
    if proof.is_signed and not has_file:
        return f"{proof.person}: signed by a passkey, which --passkey FILE proves; here attested only by the home"
    return f"{proof.person}: {proof.objection}"
