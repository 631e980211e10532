"""The log: structured, past-tense event names, to stderr; secrets leave through one choke point."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_METHODS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "exception": 40, "critical": 50}


class Log:
    """The logger, which imports structlog with its first line: a command that logs nothing starts sooner."""

    def __init__(self) -> None:
        self._level, self._as_json = 0, False
        self._logger: Any = None

    def configure(self, level: int, *, as_json: bool) -> None:
        """Log lines of `level` and above from now on."""
        self._level, self._as_json, self._logger = level, as_json, None

    def __getattr__(self, name: str) -> Any:
        if _METHODS.get(name, 50) < self._level:
            return _ignore
        if self._logger is None:
            self._logger = _structlog(self._level, as_json=self._as_json)
        return getattr(self._logger, name)


log: Any = Log()

_SECRET = re.compile(
    r"(x-access-token:|://[^/\s:@]+:)[^@\s]+@"  # credentials in an address
    r"|\b(gh[pousr]_\w{20,}|github_pat_\w{20,}|xox[abeprs]-[\w-]{10,}|xapp-[\w-]{10,}|\d{6,12}:[\w-]{30,}|glpat-[\w-]{16,}|sk-[\w-]{20,})"
)


def redact(text: str) -> str:
    """`text` without what looks like a credential."""
    return _SECRET.sub(lambda m: f"{m.group(1)}[redacted]@" if m.group(1) else "[redacted]", text)


def _redact_event(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    return {key: redact(value) if isinstance(value, str) else value for key, value in event.items()}


def configure(*, level: str = "WARNING", as_json: bool | None = None) -> None:
    """Set the log up once, when the process starts: key=value for a terminal, JSON lines for anything else."""
    log.configure(
        logging.getLevelNamesMapping()[level], as_json=not sys.stderr.isatty() if as_json is None else as_json
    )


def _ignore(*_args: object, **_facts: object) -> None:
    """Drop a line below the level."""


def _structlog(level: int, *, as_json: bool) -> Any:
    import structlog  # noqa: PLC0415 - see `Log`

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
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    return structlog.get_logger("countersign")
