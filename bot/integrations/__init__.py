"""Integrations with systems that receive events: webhooks and issue trackers."""
