"""Where pull requests live: one adapter a forge."""
