"""Finds and masks secrets; the only package of `policies` that uses RE2 and detect-secrets."""

from policies.secrets.mask import mask, mask_bytes, mask_patch
from policies.secrets.scan import SecretFinding, SecretScan, leaks_in, scan

__all__ = ["SecretFinding", "SecretScan", "leaks_in", "mask", "mask_bytes", "mask_patch", "scan"]
