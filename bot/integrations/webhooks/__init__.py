"""Sends events to receivers outside: signed, in order, at least once, and never to a private address."""
