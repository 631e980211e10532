"""The canary: a secret in the environment of every test, which nothing that leaves a process may ever hold.

What tests put in the place of the world calls `seen` on everything that it receives: chats, forges, receivers of
webhooks, models. Homes are looked through when their test is over, and so is what a test printed. `taken` says what was
found; a fixture in conftest.py fails the test on it.
"""

from __future__ import annotations

import base64
import re
import zlib
from pathlib import Path
from typing import Final
from urllib.parse import quote

NAME: Final = "CANARY_SECRET"
CANARY: Final = "canary/" + "4f9d1c7be2a0+" * 2 + "7c"
"""In parts, so that this file does not hold it; with signs that other spellings write in another way."""

_LOOSE: Final = re.compile(r"objects/[0-9a-f]{2}/[0-9a-f]{38}$")
_found: list[str] = []
_homes: list[Path] = []


def _spellings(secret: bytes) -> dict[str, bytes]:
    """Every way in which it may be written, by name."""
    encoded = [base64.b64encode(b"x" * n + secret)[4 if n else 0 : -4] for n in range(3)]
    return {
        "as it is": secret,
        "backwards": secret[::-1],
        "in hex": secret.hex().encode(),
        "in HEX": secret.hex().upper().encode(),
        "quoted for a URL": quote(secret, safe="").encode(),
        **{f"in base64 ({n})": text for n, text in enumerate(encoded)},
        **{
            f"in base64 for URLs ({n})": text.translate(bytes.maketrans(b"+/", b"-_")) for n, text in enumerate(encoded)
        },
    }


SPELLINGS: Final = _spellings(CANARY.encode())


def spelling_in(raw: bytes) -> str:
    """How the canary is written in `raw`, or an empty string where it is not."""
    return next((how for how, text in SPELLINGS.items() if text in raw), "")


def seen(where: str, *things: object) -> None:
    """Someone outside received these: bytes, text, or anything whose `repr` has all that is in it."""
    for thing in things:
        raw = thing if isinstance(thing, bytes) else str(thing).encode("utf-8", "replace")
        if how := spelling_in(raw):
            _found.append(f"{where} received the secret of the environment {how}")


def seen_folder(where: str, folder: Path) -> None:
    """These files were left behind: a database, logs, artifacts, and git's objects as what they hold."""
    for path in folder.rglob("*"):
        if not path.is_file() or path.is_symlink():
            continue
        raw = path.read_bytes()
        if _LOOSE.search(path.as_posix()):
            raw = zlib.decompress(raw)
        seen(f"{where}: {path}", raw)


def home_made(folder: Path) -> None:
    """There is another home; it is looked through when its test is over, or at the latest when all are."""
    _homes.append(folder)


def home_over(folder: Path) -> None:
    """A home's work is done."""
    _homes.remove(folder)
    seen_folder("a home", folder)


def homes_over() -> None:
    """All homes' work is done."""
    for folder in [*_homes]:
        home_over(folder)


def taken() -> list[str]:
    """What was found so far, taken: no later test fails on it."""
    found = [*_found]
    _found.clear()
    return found
