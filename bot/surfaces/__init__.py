"""Surfaces: the places where people talk to Countersign and are shown its cards."""
