"""Commands with `--server URL`: the same command line, driving the API of another machine."""
