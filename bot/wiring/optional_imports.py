"""Leaves out optional parts of libraries that nothing here uses, because they stay in the memory of an idle server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

UNUSED_BY_TELEGRAM: Final = ("cryptography.hazmat.backends", "httpx._main")
"""python-telegram-bot decrypts Telegram Passport with the first; the second is httpx's command line, with rich and
pygments. Both libraries catch the ImportError. Together they take 12 MiB."""


@contextmanager
def without_optional_imports(*modules: str) -> Iterator[None]:
    """Imports of these modules fail during the block, as they do where they are not installed.

    A module that is imported already stays.
    """
    missing = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(missing))  # type: ignore[arg-type]  # None: the import statement fails
    try:
        yield
    finally:
        for name in missing:
            del sys.modules[name]
