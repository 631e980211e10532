"""The simulator: runs a trace of requests against a policy on simulated endpoints, and reports how it went."""
