"""Plugins for Countersign. Do nothing here: an import is not yet a use."""
