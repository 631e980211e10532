"""The HTTP server and its limits; surfaces add their webhook routes."""
