"""Slack for tests: a real program that plays it (npm local-slack), behind a proxy that is as strict as Slack is."""
