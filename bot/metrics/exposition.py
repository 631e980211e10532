"""Samples in the form that Prometheus reads, with those of this process; the only module that imports its library."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from bot.metrics.catalogue import CATALOGUE
from core.model.metric import MetricSample

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class _Samples(Collector):
    """Every metric of the catalogue, with its samples if it has any."""

    def __init__(self, samples: Iterable[MetricSample]) -> None:
        self._families = {
            each.name: GaugeMetricFamily(each.full_name, each.help, labels=each.labels) for each in CATALOGUE
        }
        for sample in samples:
            self._families[sample.metric].add_metric(sample.labels, sample.value)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The families, in the order of the catalogue."""
        return self._families.values()


def exposition(samples: Iterable[MetricSample]) -> bytes:
    """The text of /metrics."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Samples(samples))
    ProcessCollector(registry=registry)
    return generate_latest(registry)
