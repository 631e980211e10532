"""What each kind of job does, one module a kind: a list of steps, each of which may run again after a crash."""
