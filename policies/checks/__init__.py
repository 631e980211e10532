"""The guard's checks: each turns a change into findings, at least one, so that a card can list every check."""

from policies.checks.content import Blob, ContentChecks
from policies.checks.scope import Scope, capped
from policies.checks.tree import CHECKS, NAME_CHECKS

__all__ = ["CHECKS", "NAME_CHECKS", "Blob", "ContentChecks", "Scope", "capped"]
