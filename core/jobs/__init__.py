"""The bodies of the jobs, one module a kind: each a list of steps that may run again after a crash."""
