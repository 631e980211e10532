"""Verification of receipts: that what was published is what was approved."""
