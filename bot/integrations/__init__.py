"""Other systems that are told of events: webhooks and issue trackers."""
