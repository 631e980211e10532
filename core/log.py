"""Structured logging to standard error, with past-tense event names and one place that redacts secrets."""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from typing import Any

from core.model.errors import CountersignError

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_METHODS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "exception": 40, "critical": 50}

_MAX_CAUSES, _MAX_FRAMES = 4, 4
_CONSTANT_MESSAGES = ("asyncio", "uvicorn")
"""Libraries whose first lines are constant and hold no data."""


class LazyLog:
    """A logger that imports structlog with its first line, so that commands that log nothing start sooner."""

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
            self._logger = _structlog_logger(self._level, as_json=self._as_json)
        return getattr(self._logger, name)


log: Any = LazyLog()

_SECRET = re.compile(
    r"(x-access-token:|://[^/\s:@]+:)[^@\s]+@"  # credentials in an address
    r"|\b(gh[pousr]_\w{20,}|github_pat_\w{20,}|xox[abeprs]-[\w-]{10,}|xapp-[\w-]{10,}|\d{6,12}:[\w-]{30,}|glpat-[\w-]{16,}|sk-[\w-]{20,}|cst_[a-z0-9]{12}_[\w-]{43})"
)


def redact(text: str) -> str:
    """`text` with everything that looks like a credential replaced."""
    return _SECRET.sub(lambda m: f"{m.group(1)}[redacted]@" if m.group(1) else "[redacted]", text)


def _redact_event(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    return {key: redact(value) if isinstance(value, str) else value for key, value in event.items()}


def fault_of(error: BaseException) -> dict[str, str]:
    """The fields that a log line may have about an unexpected error: its chain of types and its stack locations.

    The error's message is left out, because it may hold user data: a key, a value, a row's parameters. Messages of
    `CountersignError` are written for people and are kept.
    """
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and len(chain) < _MAX_CAUSES and current not in chain:
        chain.append(current)
        current = current.__cause__ or current.__context__
    frames = traceback.extract_tb(error.__traceback__)[-_MAX_FRAMES:]
    locations = [f"{'/'.join(frame.filename.split('/')[-3:])}:{frame.lineno}" for frame in frames]
    return {"why": " from ".join(map(_kind_of, chain)), "at": " > ".join(locations)}


def _kind_of(error: BaseException) -> str:
    if isinstance(error, CountersignError):
        return str(error)
    return f"{type(error).__name__} ({error.strerror})" if isinstance(error, OSError) else type(error).__name__


def _exception_fields(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """The event's exception as fields without its message."""
    exc_info = event.pop("exc_info", None)
    error = sys.exc_info()[1] if exc_info is True else exc_info[1] if isinstance(exc_info, tuple) else exc_info
    return {**event, **fault_of(error)} if isinstance(error, BaseException) else event


class _LibraryRecords(logging.Handler):
    """Forwards log records of libraries: which library, and the text only if it certainly contains no data.

    A message that was formatted before logging may hold user data, and so may arguments and exceptions.
    """

    def emit(self, record: logging.LogRecord) -> None:
        text = str(record.msg).partition("\n")[0] if record.args or record.name.startswith(_CONSTANT_MESSAGES) else ""
        fault = fault_of(record.exc_info[1]) if record.exc_info and record.exc_info[1] else {}
        log.log(record.levelno, "library_said", library=record.name, text=text, **fault)


def configure(*, level: str = "WARNING", as_json: bool | None = None) -> None:
    """Configure logging once at process start: key=value lines for a terminal, JSON lines otherwise."""
    threshold = logging.getLevelNamesMapping()[level]
    log.configure(threshold, as_json=not sys.stderr.isatty() if as_json is None else as_json)
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, _LibraryRecords)]
    root.addHandler(_LibraryRecords(max(threshold, logging.WARNING)))


def _ignore(*_args: object, **_facts: object) -> None:
    """Discard a line below the level."""


class _Stderr:
    """Standard error looked up at each write; it may differ from when logging was configured."""

    def write(self, text: str) -> int:
        """Write `text`."""
        return sys.stderr.write(text)

    def flush(self) -> None:
        """Flush standard error."""
        sys.stderr.flush()


def _structlog_logger(level: int, *, as_json: bool) -> Any:
    import structlog  # noqa: PLC0415 - see `LazyLog`

    renderer: Any = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _exception_fields,
            _redact_event,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(_Stderr()),  # type: ignore[arg-type]  # only these are used
        cache_logger_on_first_use=True,
    )
    return structlog.get_logger("countersign")
