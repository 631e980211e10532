"""The use cases: every front end works through these, one transaction a method, authorization inside."""
