"""Rules that need rows: who may do what now, whether a quorum is met, what a reply builds on."""
