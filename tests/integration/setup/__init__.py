"""Tests of setting up a new home in a browser."""
