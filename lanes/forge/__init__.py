"""Forges, which host pull requests: one adapter for each."""
