"""Faults that a test orders: the next requests that match go wrong, before or after their effect."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Fault:
    """What happens to the next `times` requests whose method and path match (whole, as regular expressions).

    `status` answers with an error, `message` is what it says, `headers` go with it; `after` lets the effect happen
    first, so that only the answer is lost; `drop` closes the connection instead of answering; `garbage` answers 200
    with these bytes; `delay_s` waits before. `meanwhile` is called first: what someone else did just before. With
    none of status, drop and garbage, the request is served all the same.
    """

    method: str
    path: str
    times: int = 1
    status: int = 0
    message: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    after: bool = False
    drop: bool = False
    delay_s: float = 0.0
    garbage: bytes = b""
    meanwhile: Callable[[], object] | None = None
    met: int = 0


class Faults:
    """All that were ordered, first come first met."""

    def __init__(self) -> None:
        self._ordered: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, method: str, path: str, **how: Any) -> Fault:
        """Order one."""
        fault = Fault(method, path, **how)
        with self._lock:
            self._ordered.append(fault)
        return fault

    def clear(self) -> None:
        """Everything goes well from now on."""
        with self._lock:
            self._ordered.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """The fault that this request meets, if any."""
        with self._lock:
            for fault in self._ordered:
                if fault.met < fault.times and re.fullmatch(fault.method, method) and re.fullmatch(fault.path, path):
                    fault.met += 1
                    return fault
        return None
