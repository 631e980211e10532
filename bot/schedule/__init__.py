"""Recurring requests: rows that say what is asked for again and again, and the clock that asks for it."""
