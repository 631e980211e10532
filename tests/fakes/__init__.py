"""Small honest stand-ins for the ports, where the real thing is not the point of a test."""
