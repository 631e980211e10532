"""The GitHub forge, which runs PyGithub in threads behind one client; only `access` imports without PyGithub."""

from lanes.forge.github.access import GitHubAccess

__all__ = ["GitHubAccess"]
