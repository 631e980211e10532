"""Tests of teams as tenants: what another team owns does not exist."""
