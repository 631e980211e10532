"""A lane: a named capability to write, and the limits of what it may change."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds of one change and of the work that makes it.

    `files`, `bytes` and `file_bytes` bound the change (sums over new blobs); `wall_s`, `memory_mib`,
    `processes` and `log_bytes` bound the executor.
    """

    files: int = 50
    bytes: int = MIB
    file_bytes: int = MIB
    wall_s: int = 300
    memory_mib: int = 2048
    processes: int = 256
    log_bytes: int = MIB

    def tightened(self, other: Limits) -> Limits:
        """The stricter of both, bound by bound."""
        return Limits(*(min(getattr(self, f), getattr(other, f)) for f in self.__slots__))


@dataclass(frozen=True, slots=True)
class Lane:
    """Which paths may be written, by which executor, within which limits.

    `write` and `protect` are anchored globs in gitignore style, judged from the repository's root;
    `protect` adds to what every lane protects.
    """

    name: str
    describe: str
    write: tuple[str, ...]
    executor: str
    limits: Limits = Limits()
    command: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    protect: tuple[str, ...] = ()
    binaries: bool = False
    executables: bool = False
    odd_names: bool = False
    needs: tuple[str, ...] = ()
    source: str = ""
