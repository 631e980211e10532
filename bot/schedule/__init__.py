"""Recurring requests: their recurrence, and the clock that makes each request when it is due."""
