"""Metrics for monitoring: /metrics in Prometheus' form, and state/metrics.json."""
