"""The simulator as people use it: reads what to simulate, runs it, and shows the result as table, JSON or page."""
