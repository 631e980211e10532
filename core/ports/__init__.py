"""Ports: the protocols of what core uses of the outside, with the values that they exchange."""
