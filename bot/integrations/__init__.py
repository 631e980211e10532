"""Other systems that receive events: webhooks and issue trackers."""
