"""Secrets: what must never be written into a repository. The one home of RE2 and detect-secrets."""

from policies.secrets.mask import mask, mask_bytes, mask_patch
from policies.secrets.scan import SecretFinding, SecretScan, leaks_in, scan

__all__ = ["SecretFinding", "SecretScan", "leaks_in", "mask", "mask_bytes", "mask_patch", "scan"]
