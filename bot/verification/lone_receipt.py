"""Verification of a receipt that is a file and nothing more: what its signatures prove to someone who has no home.

Everything in the file is untrusted, its signatures too. The verifier brings the public keys of approvers, of the home,
or both; what no such key signed is named as not proven.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bot.verification.checks import VerifyCheck, failed, faulty, passed, warned
from bot.verification.passkey_check import passkey_check
from bot.verification.tree_checks import tree_checks
from core.model.errors import CountersignError, NotFoundError, PermanentError, UsageError
from core.model.passkey import TrustedPasskey
from core.model.staged_diff import StagedDiff, short_digest
from core.model.stored import StoredValueError
from core.rules.quorum import signed_quorum
from core.rules.receipt import PAYLOAD_TYPE, predicate_of
from core.signing import PUBLIC, open_envelope

MAX_BYTES: Final = 64 * 1024 * 1024
_UNREADABLE: Final = (
    AssertionError, AttributeError, IndexError, KeyError, RecursionError, StoredValueError, TypeError, ValueError,
)  # fmt: skip
"""What reading a file of any other form raises; `ValueError` includes what is not JSON, base64 or UTF-8."""
_ONLY_HOME: Final = "the events, rows, stored diff and merge, which only the home has"


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """What the verifier believes: passkeys of people, and the file with the public key of the home, if any."""

    passkeys: Sequence[TrustedPasskey] = ()
    home: Path | None = None


@dataclass(frozen=True, slots=True)
class LoneVerdict:
    """What a receipt alone proves: the task that it names, the checks, and the people whose passkey signed."""

    number: int
    checks: Sequence[VerifyCheck]

    @property
    def proven(self) -> list[str]:
        """The people whose trusted passkey signed exactly this approval."""
        return [person for check in self.checks for person in check.get("proven", ())]

    @property
    def is_proven(self) -> bool:
        """Whether nothing contradicts it, and a key that the verifier brought vouches for it."""
        verdicts = {check["name"]: check["verdict"] for check in self.checks}
        return "fail" not in verdicts.values() and (verdicts.get("signature") == "ok" or bool(self.proven))

    @property
    def title(self) -> str:
        """What is proven, in one line."""
        if not self.is_proven:
            return f"The receipt of #{self.number} is NOT proven"
        if self.proven:
            return f"The approval of #{self.number} by {', '.join(self.proven)} is proven"
        return f"The receipt of #{self.number} is signed by the home that you trust"


def check_home_key(path: Path) -> Path:
    """The file, if it is the public key of a home; raises `UsageError`."""
    mend = f"Name a copy of HOME/state/keys/{PUBLIC}."
    try:
        if not isinstance(json.loads(path.read_bytes()[:MAX_BYTES])["keyid"], str):
            raise TypeError("a key's id is a text")
    except OSError as error:
        raise UsageError("bad_home_key", f"{path} cannot be read: {error.strerror}", mend) from error
    except _UNREADABLE as error:
        raise UsageError("bad_home_key", f"{path} is not the public key of a home", mend) from error
    return path


async def verify_receipt(path: Path, keys: TrustedKeys, clone: Path | None) -> LoneVerdict:
    """Run every check that needs only the file, the trusted keys and perhaps a clone.

    Raises `NotFoundError` for a missing file, and `UsageError` for one that is not a receipt.
    """
    envelope, payload = _read(path)
    try:
        predicate = predicate_of(payload)
        number = predicate["task"]["number"]
        if type(number) is not int:
            raise TypeError("the task's number is not a number")
        checks = [_signature(envelope, payload, keys.home)]
        checks += _claims(predicate, _home_id(envelope, keys.home), keys, is_signed=checks[0]["verdict"] == "ok")
        if clone is not None:
            checks += await _in_git(predicate, clone)
    except _UNREADABLE as error:
        raise _not_a_receipt(path) from error
    except PermanentError as error:
        raise _not_a_receipt(path) from error
    checks.append(warned("rest", f"not checked: {_ONLY_HOME}", f"Run `countersign verify {number}` there."))
    return LoneVerdict(number, checks)


def _read(path: Path) -> tuple[dict[str, Any], bytes]:
    """The envelope in a file, and its payload, of which nothing is verified yet."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        mend = "Check its path, or give the number of a task."
        raise NotFoundError("no_such_file", f"the file {path} does not exist", mend) from error
    except OSError as error:
        raise UsageError("bad_receipt_file", f"{path} cannot be read: {error.strerror}", "Name a file.") from error
    try:
        envelope = json.loads(raw)
        if len(raw) > MAX_BYTES or envelope["payloadType"] != PAYLOAD_TYPE:
            raise ValueError("too large, or another document")
        return envelope, base64.b64decode(envelope["payload"], validate=True)
    except _UNREADABLE as error:
        raise _not_a_receipt(path) from error


def _not_a_receipt(path: Path) -> UsageError:
    mend = "Get it from the page of the task, or from the command show with --receipt."
    return UsageError("bad_receipt_file", f"{path} is not a receipt of Countersign, or was damaged", mend)


def _home_id(envelope: dict[str, Any], home_key: Path | None) -> str:
    """The id of the home's key: of the trusted one, else the one that the envelope names, which proves nothing."""
    if home_key is not None:
        return str(json.loads(home_key.read_bytes())["keyid"])
    return str(envelope["signatures"][0]["keyid"])


def _signature(envelope: dict[str, Any], payload: bytes, home_key: Path | None) -> VerifyCheck:
    if home_key is None:
        detail = "not checked: whether the home signed it, which needs the home's public key"
        return warned(
            "signature", detail, f"Get HOME/state/keys/{PUBLIC} by a way that you trust; add --home-key FILE."
        )
    try:
        if open_envelope(envelope, home_key) != payload:
            return failed("signature", "the signed statement is not the one in the file", "The receipt was changed.")
    except CountersignError as error:
        return faulty("signature", error)
    return passed("signature", f"signed with the home's key in {home_key.name}")


def _claims(predicate: dict[str, Any], home: str, keys: TrustedKeys, *, is_signed: bool) -> list[VerifyCheck]:
    """The checks of what the receipt says: the digest of its files, its approvals, and their quorum."""
    staged, needs = StagedDiff.from_json(predicate["staged"]), signed_quorum(predicate)
    passkeys = passkey_check(predicate, home, keys.passkeys)
    if not keys.passkeys:
        mend = "Get the approvers' public keys from them; add --passkey FILE."
        passkeys = {**passkeys, "verdict": "warn", "mend": mend}
    count = (
        f"{len(needs.have)} of {needs.count} approvals of {short_digest(staged.digest)} count: {', '.join(needs.have)}"
    )
    if not needs.met:
        quorum = failed("approvals", count, "It was not approved.")
    elif is_signed:
        quorum = passed("approvals", count)
    else:
        mend = "How many approvals were needed is the home's word, which --home-key FILE checks."
        quorum = warned("approvals", f"by the receipt's own word, {count}", mend)
    return [passkeys, _digest(staged), quorum]


def _digest(staged: StagedDiff) -> VerifyCheck:
    """The digest, which is what approvers sign, is that of the files that the receipt lists."""
    if any("sha256" not in file for file in staged.files):
        return warned("files", "an older version wrote it without the hashes of the files", "Add --repo-path CLONE.")
    paths = ", ".join(str(file["path"]) for file in staged.files[:5]) + ("…" if len(staged.files) > 5 else "")
    if not staged.is_as_digested:
        return failed("files", f"the listed files are not those of {short_digest(staged.digest)}", "It was changed.")
    return passed("files", f"{short_digest(staged.digest)} is exactly the listed change of {paths}")


async def _in_git(predicate: dict[str, Any], path: Path) -> list[VerifyCheck]:
    from core.ports.repository import RepositorySpec
    from lanes.repository.clone import Clone

    spec = RepositorySpec("the clone", predicate["staged"]["repository"], str(path), "main", "local")
    if not any((folder / "HEAD").exists() for folder in (path / ".git", path)):
        raise NotFoundError("no_clone", f"{path} is not a git repository", "Name a clone with --repo-path.")
    try:
        return await tree_checks(Clone(spec, path), predicate, str(path), "unknown here")
    except CountersignError as error:
        return [faulty("tree", error)]
