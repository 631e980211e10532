"""Ports: protocols for everything outside that core uses, with the values that they exchange."""
