"""Alerts of operators: when they begin and end, and what people read of them."""
