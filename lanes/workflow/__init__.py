"""Lanes of several steps: the keys of their files, their plan, and the executor that runs them."""
