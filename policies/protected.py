"""Protected paths: what no lane may touch, because changing it changes what other machines run or trust.

Each group names the entry of the project's security catalogue and where the danger is documented. They are deny
patterns in the sense of `policies.globs`: any spelling, everything below, also for deleting and renaming away.
"""

from __future__ import annotations

from typing import Final

from policies.globs import Globs

# 59-61: git runs what these say, or shows other bytes than it keeps. gitattributes(5), gitmodules(5);
# CVE-2025-48384 and CVE-2018-17456 (submodule paths and urls), CVE-2014-9390 (.git under another spelling).
_GIT: Final = ("**/.git/**", "**/git~1/**", "**/.gitattributes", "**/.gitmodules", "**/.gitconfig", "**/.lfsconfig")

# 62: what the forge and its CI run or obey, and who must review.
# docs.github.com: "About code owners", "Workflow syntax", "Metadata syntax for GitHub Actions", "Dependabot options";
# docs.gitlab.com/ci; jenkins.io/doc/book/pipeline/jenkinsfile; circleci.com/docs/configuration-reference.
_FORGE: Final = (
    ".github/**", ".gitea/**", ".forgejo/**", ".gitlab/**", ".circleci/**", ".buildkite/**", ".woodpecker/**",
    "**/CODEOWNERS", "**/action.yml", "**/action.yaml", "**/dependabot.yml", "**/dependabot.yaml",
    "**/.gitlab-ci.yml", "**/Jenkinsfile", ".travis.yml", "azure-pipelines.yml", "bitbucket-pipelines.yml",
    ".drone.yml", ".cirrus.yml", "appveyor.yml", ".appveyor.yml", ".woodpecker.yml", "cloudbuild.yaml",
    "**/renovate.json", "**/renovate.json5", "**/.renovaterc", "**/.renovaterc.json", ".mergify.yml",
)  # fmt: skip

# 62: hooks that run on every developer's machine. pre-commit.com, typicode.github.io/husky, lefthook.dev.
_HOOKS: Final = (
    "**/.pre-commit-config.yaml", "**/.pre-commit-hooks.yaml", "**/.husky/**", "**/.githooks/**",
    "**/lefthook.yml", "**/.lefthook.yml",
)  # fmt: skip

# 63: instructions and permissions of coding agents and editors, read at any depth. CVE-2025-59536 and
# CVE-2026-21852 (.claude), CVE-2025-61260 (.codex), CVE-2025-53773 (.vscode/settings.json).
_AGENTS: Final = (
    "**/AGENTS.md", "**/AGENTS.override.md", "**/CLAUDE.md", "**/CLAUDE.local.md", "**/GEMINI.md",
    "**/.claude/**", "**/.codex/**", "**/.cursor/**", "**/.cursorrules", "**/.gemini/**", "**/.windsurf/**",
    "**/.windsurfrules", "**/.clinerules/**", "**/.roo/**", "**/.aider.conf.yml", "**/.mcp.json", "**/mcp.json",
    "**/.vscode/**", "**/.idea/**", "**/.devcontainer/**", "**/.devcontainer.json",
)  # fmt: skip

# 63: read by shells and tools on entry (direnv.net), and where secrets live by convention.
_ENVIRONMENT: Final = ("**/.env", "**/.envrc")

# 45: Countersign's own home, should somebody keep it in a repository.
_OURS: Final = ("**/.countersign/**",)

PROTECTED: Final = (*_GIT, *_FORGE, *_HOOKS, *_AGENTS, *_ENVIRONMENT, *_OURS)


def protected(*more: tuple[str, ...]) -> Globs:
    """The globs that are protected in every lane, and `more` of them; raises `ValueError` for a wrong pattern."""
    return Globs(tuple(dict.fromkeys((*PROTECTED, *(pattern for group in more for pattern in group)))))
