"""The log: structured, past-tense event names, to stderr; secrets leave through one choke point."""

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

_MOST_CAUSES, _MOST_FRAMES = 4, 4
_PLAIN = ("asyncio", "uvicorn")
"""Libraries whose first lines are the same whatever happened."""


class LazyLog:
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


log: Any = LazyLog()

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
    """What a log line may say of a fault of ours or of a library: its kind and its places.

    Its message is left out, for it may hold what people wrote: a key, a value, a row's parameters. A message of our own
    errors is written for people to read, and stays.
    """
    chain: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and len(chain) < _MOST_CAUSES and at not in chain:
        chain.append(at)
        at = at.__cause__ or at.__context__
    frames = traceback.extract_tb(error.__traceback__)[-_MOST_FRAMES:]
    places = [f"{'/'.join(frame.filename.split('/')[-3:])}:{frame.lineno}" for frame in frames]
    return {"why": " from ".join(map(_kind_of, chain)), "at": " > ".join(places)}


def _kind_of(error: BaseException) -> str:
    if isinstance(error, CountersignError):
        return str(error)
    return f"{type(error).__name__} ({error.strerror})" if isinstance(error, OSError) else type(error).__name__


def _fault_without_words(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """The fault that an event comes with, without its message."""
    given = event.pop("exc_info", None)
    error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    return {**event, **fault_of(error)} if isinstance(error, BaseException) else event


class _Library(logging.Handler):
    """What libraries log: who logs it and, where that is sure to be no data, what.

    A line that was put together before it was logged may hold people's words, and so may values and faults.
    """

    def emit(self, record: logging.LogRecord) -> None:
        text = str(record.msg).partition("\n")[0] if record.args or record.name.startswith(_PLAIN) else ""
        fault = fault_of(record.exc_info[1]) if record.exc_info and record.exc_info[1] else {}
        log.log(record.levelno, "library_said", library=record.name, text=text, **fault)


def configure(*, level: str = "WARNING", as_json: bool | None = None) -> None:
    """Set the log up once, when the process starts: key=value for a terminal, JSON lines for anything else."""
    lowest = logging.getLevelNamesMapping()[level]
    log.configure(lowest, as_json=not sys.stderr.isatty() if as_json is None else as_json)
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, _Library)]
    root.addHandler(_Library(max(lowest, logging.WARNING)))


def _ignore(*_args: object, **_facts: object) -> None:
    """Drop a line below the level."""


class _Stderr:
    """Standard error as it is when a line is written; it may be another than when the log was set up."""

    def write(self, text: str) -> int:
        """Write `text`."""
        return sys.stderr.write(text)

    def flush(self) -> None:
        """Bring it out."""
        sys.stderr.flush()


def _structlog(level: int, *, as_json: bool) -> Any:
    import structlog  # noqa: PLC0415 - see `LazyLog`

    renderer: Any = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _fault_without_words,
            _redact_event,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(_Stderr()),  # type: ignore[arg-type]  # only these are used
        cache_logger_on_first_use=True,
    )
    return structlog.get_logger("countersign")
