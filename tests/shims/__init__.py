"""Fake model servers with memory, load times and faults: programs that a test, a bench or a person can start."""
