"""Reads countersign.yaml and derives the settings in force from the files of a home."""
