"""The log: structured, past-tense event names, to stderr; secrets leave through one choke point."""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

from core.errors import CountersignError

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

log: Any = structlog.get_logger("countersign")

_SECRET = re.compile(
    r"(x-access-token:|://[^/\s:@]+:)[^@\s]+@"  # credentials in an address
    r"|\b(gh[pousr]_\w{20,}|github_pat_\w{20,}|xox[abeprs]-[\w-]{10,}|xapp-[\w-]{10,}|\d{6,12}:[\w-]{30,}|glpat-[\w-]{16,}|sk-[\w-]{20,})"
)


def redact(text: str) -> str:
    """`text` without what looks like a credential."""
    return _SECRET.sub(lambda m: f"{m.group(1)}[redacted]@" if m.group(1) else "[redacted]", text)


def _redact_event(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    return {key: redact(value) if isinstance(value, str) else value for key, value in event.items()}


def fault_of(error: BaseException) -> dict[str, str]:
    """What a log line may say of a fault of ours or of a library: its kind and its place.

    Its message is left out, for it may hold what people wrote: a key, a value, a row's parameters.
    """
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{'/'.join(frames[-1].filename.split('/')[-3:])}:{frames[-1].lineno}" if frames else ""
    why = f"{type(error).__name__} {error.strerror}" if isinstance(error, OSError) else type(error).__name__
    return {"why": str(error) if isinstance(error, CountersignError) else why, "at": place}


def configure(*, level: str = "WARNING", as_json: bool | None = None) -> None:
    """Set the log up once, at the door: key=value for a terminal, JSON lines for anything else."""
    as_json = not sys.stderr.isatty() if as_json is None else as_json
    renderer: Any = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _redact_event,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
