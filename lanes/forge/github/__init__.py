"""GitHub as a forge: PyGithub in threads behind one client; only `access` may be imported without it."""

from lanes.forge.github.access import GitHubAccess

__all__ = ["GitHubAccess"]
