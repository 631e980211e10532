"""The tests: `unit` alone in memory, `integration` with real counterparts, `fakes` and `builders` for both."""
