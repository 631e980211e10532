"""Reads numbers from Prometheus' text format: https://prometheus.io/docs/instrumenting/exposition_formats/."""

from __future__ import annotations

import math
import re


def metric_total(text: str, name: str) -> int | None:
    """The sum of the metric `name` over all its labels, as a whole number from 0; None when it is not there."""
    total: float | None = None
    for match in re.finditer(rf"^{re.escape(name)}(?:\{{[^\n]*\}})?[ \t]+([^\s]+)", text, re.MULTILINE):
        try:
            value = float(match[1])
        except ValueError:
            continue
        if math.isfinite(value) and value >= 0:
            total = (total or 0.0) + value
    return None if total is None else round(min(total, 2**31))
