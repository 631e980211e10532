"""The command line: ``countersign``. Importing it loads nothing, so that `main` handles even a Ctrl-C at the start."""

from __future__ import annotations

import gc
import os
import signal
import sys

INTERRUPTED = 130
"""The exit status after Ctrl-C, as shells give it."""
UNAVAILABLE = 7
"""The exit status of contract.md for what may work later."""


def main() -> None:
    """The console script."""
    gc.set_threshold(500_000)  # collecting garbage during the imports takes a fifth of a short command's time
    try:
        _fill_closed_streams()
        status = call(sys.argv[1:])
    except KeyboardInterrupt:
        status = interrupted()
    status = _flushed(status)
    gc.freeze()  # else Python collects garbage in all modules at exit, a quarter of a short command's time
    if os.name == "posix":  # during Python's shutdown Ctrl-C would print a traceback
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(status)


def call(argv: list[str]) -> int:
    """Run one command line; returns the exit status of contract.md, and never prints a traceback."""
    from bot.cli.commands import call as run

    return run(argv)


def interrupted() -> int:
    """Print what exists when Ctrl-C ends the command; returns the exit status for it."""
    from bot.cli.interruption import interrupt_report

    sentence = f"countersign: interrupted; {interrupt_report()}.\n"
    try:
        sys.stderr.write(sentence)
        sys.stderr.flush()
    except OSError:  # standard error is closed
        pass
    return INTERRUPTED


def _fill_closed_streams() -> None:
    """Open the null device for each stream that the caller closed, or the next opened file gets its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 (open until the end)
        elif mode == "w" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal that is not UTF-8 shows the code point


def _flushed(status: int) -> int:
    """Write out what is still buffered; a success whose output cannot be written becomes a failure."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            # flush the rest to the null device, or Python reports the error again at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            if stream is sys.stdout and status == 0 and not isinstance(error, BrokenPipeError):
                sys.stderr.write(f"countersign: the output could not be written: {error.strerror}. Try again.\n")
                status = UNAVAILABLE
    return status
