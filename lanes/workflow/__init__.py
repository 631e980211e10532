"""Lanes of several steps: their file's keys, their plan, and the executor that runs them."""
