"""Checks: each a small function from what changed to findings, at least one each, so that a card can list them."""

from policies.checks.content import Blob, Content
from policies.checks.scope import Scope, capped
from policies.checks.tree import CHECKS, NAME_CHECKS

__all__ = ["CHECKS", "NAME_CHECKS", "Blob", "Content", "Scope", "capped"]
