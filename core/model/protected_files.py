"""Files that control programs: agents, editors, shells, git hooks, CI systems and forges obey them.

This is the only list of them. The guard protects every path in it in every lane (`policies.protected`), and agent
programs do not see those that would control them (`lanes.agent_clis.hidden_files`), so the two cannot diverge.

A pattern is a glob from the repository's root in the sense of `policies.globs`. It begins with ``**/`` if the program
reads such a file at any depth, and every spelling that the program accepts is listed. Case does not matter. Files that
people also change in ordinary work, such as Makefiles and compose files, are not in this list;
`policies.checks.manifests` flags them for the approver.
"""

from __future__ import annotations

import re
from typing import Final


def _files(stems: str, endings: str, *, under: str = "**/") -> tuple[str, ...]:
    """One pattern for each of the `stems` with each of the `endings`."""
    return tuple(f"{under}{stem}.{ending}" for stem in stems.split() for ending in endings.split())


def _each(names: str, *, under: str = "**/") -> tuple[str, ...]:
    return tuple(f"{under}{name}" for name in names.split())


def _folders(names: str, *, under: str = "**/") -> tuple[str, ...]:
    return tuple(f"{under}{name}/**" for name in names.split())


_YAML: Final = "yml yaml"

# git runs what these contain, or shows other bytes than it stores. gitattributes(5), gitmodules(5); CVE-2025-48384 and
# CVE-2018-17456 (submodule paths and urls), CVE-2014-9390 (.git under another spelling).
GIT: Final = (*_folders(".git git~1"), *_each(".gitattributes .gitmodules .gitconfig .lfsconfig"))

# Settings of forges, and who must review. docs.github.com: "About code owners", "Metadata syntax for GitHub Actions",
# "Dependabot options"; docs.renovatebot.com/configuration-options; prow's OWNERS; docs.mergify.com.
_FORGES: Final = (
    *_folders(".github .gitea .forgejo .gitlab .azuredevops .sourcehut", under=""),
    *_each("CODEOWNERS OWNERS_ALIASES .renovaterc .pr_agent.toml bors.toml .kodiak.toml .asf.yaml .asf.yml"), "OWNERS",
    *_files("action dependabot .mergify .pullapprove .policy .coderabbit .sourcery", _YAML),
    *_files(".renovaterc renovate", "json json5"),
    *_folders(".mergify", under=""),
)  # fmt: skip

# Configuration of CI systems. Sources: docs.gitlab.com/ci, jenkins.io/doc/book/pipeline/jenkinsfile, circleci.com/docs,
# docs.travis-ci.com, learn.microsoft.com/azure/devops/pipelines, woodpecker-ci.org/docs/usage/workflows,
# docs.drone.io, cirrus-ci.org/guide, docs.semaphoreci.com, pipelinesascode.com, docs.earthly.dev, buildkite.com/docs,
# docs.readthedocs.com (its build jobs), docs.aws.amazon.com/codebuild, man.sr.ht/builds.sr.ht, zuul-ci.org/docs,
# docs.prow.k8s.io, docs.dagger.io.
_CI: Final = (
    *_folders(".circleci .buildkite .woodpecker .semaphore .tekton .teamcity .harness .azure-pipelines .builds .buddy "
              ".codefresh .zuul.d zuul.d .prow .agola .vela .drone .travis .appveyor .gitlab-ci .jenkins", under=""),
    *_files(".gitlab-ci *.gitlab-ci .gitlab-ci-* .woodpecker .drone .travis .cirrus .appveyor appveyor azure-pipelines "
            ".azure-pipelines azure-pipelines-* azure-pipelines.* azure-pipeline bitbucket-pipelines cloudbuild "
            "cloudbuild-* cloudbuild.* buildspec buildspec-* appspec codefresh codemagic bitrise wercker .wercker "
            "shippable .shippable .scrutinizer .build .zuul zuul .prow .taskcluster .vela .screwdriver screwdriver "
            ".packit packit .onedev-buildspec .readthedocs readthedocs buddy .semaphore .codeship-steps "
            "codeship-steps codeship-services .circleci .buildkite buildkite .tekton .gocd *.gocd", _YAML),
    *_files(".drone .cirrus .woodpecker", "star jsonnet json"),
    *_files("cloudbuild buildspec dagger *.gopipeline", "json"), *_folders(".dagger"),
    *_each("Jenkinsfile Jenkinsfile.* Jenkinsfile-* *.jenkinsfile Earthfile .space.kts"),
)  # fmt: skip

# Hooks that run on every developer's machine. pre-commit.com, prek.j178.dev, typicode.github.io/husky, lefthook.dev,
# github.com/sds/overcommit, github.com/toplenboren/simple-git-hooks, docs.captainhook.info, hk.jdx.dev, lint-staged.
_HOOKS: Final = (
    *_files(".pre-commit-config .pre-commit-hooks", _YAML), *_each("prek.toml hk.pkl .hk.pkl hk.local.pkl .huskyrc"),
    *_folders(".husky .githooks .git-hooks .lefthook .lefthook-local .cargo-husky .rusty-hook"),
    *_files("lefthook .lefthook lefthook-local .lefthook-local", "yml yaml json jsonc toml"),
    *_files(".overcommit .local-overcommit grumphp .grumphp", _YAML), *_each("grumphp.yml.dist .rusty-hook.toml"),
    *_files(".simple-git-hooks simple-git-hooks", "js cjs mjs ts json"),
    *_files(".huskyrc husky.config", "js cjs mjs json yml yaml"), *_files("captainhook captainhook.config", "json"),
    *_each(".lintstagedrc"),
    *_files(".lintstagedrc lint-staged.config", "js cjs mjs ts cts mts json yml yaml"),
)  # fmt: skip

# Read by shells, version managers and interpreters on entering a folder, often before any command. direnv.net;
# mise.jdx.dev/configuration.html; jetify.com/docs/devbox (init_hook); devenv.sh; gdb and lldb (.gdbinit), pdb, irb,
# pry, GHCi and Octave read these in the current folder. Secrets live in .env by convention, and agents load it
# (CVE-2026-21852).
_ON_ENTRY: Final = (
    *_each(".env .env.local .envrc .envrc.local .autoenv .autoenv.zsh .flox .prototools"),
    *_each("mise.toml .mise.toml mise.*.toml .mise.*.toml .rtx.toml .rtx.*.toml .miserc.toml"),
    *_each("mise/config.toml mise/config.*.toml .config/mise.toml .config/mise.*.toml"),
    *_folders(".mise .config/mise mise/conf.d mise/tasks mise-tasks .mise-tasks .devbox .devbox.d .shadowenv.d .flox"),
    *_each("devbox.json devenv.yaml devenv.nix devenv.local.yaml devenv.local.nix"),
    *_each(".gdbinit .lldbinit .pdbrc .pdbrc.py .irbrc .pryrc .ghci .octaverc .iex.exs"),
)  # fmt: skip

# Tasks, launch configurations and settings that editors and hosted workspaces apply when a folder is opened.
# CVE-2025-53773 (.vscode/settings.json); code.visualstudio.com/docs/debugtest/tasks; containers.dev;
# zed.dev/docs/tasks; JetBrains stores shared run configurations in .run; vim's 'exrc'; emacs' directory variables;
# gitpod.io/docs.
_EDITORS: Final = (
    *_folders(".vscode .vscode-server .vs .idea .run .fleet .zed .helix .theia .vim .nvim .externalToolBuilders"),
    *_folders(".devcontainer .gitpod .ona .codesandbox .idx .replit"),
    *_each("*.code-workspace *.sublime-project *.run.xml .exrc .vimrc .nvimrc .nvim.lua .lvimrc .dir-locals.el "
           ".dir-locals-2.el .devcontainer.json devcontainer.json .gitpod.yml .gitpod.yaml .replit replit.nix "
           ".stackblitzrc .lite_project.lua"),
)  # fmt: skip

# Settings of coding agents: permissions, hooks, servers that they start (MCP), endpoints, skills, commands.
# CVE-2026-21852 and CVE-2025-59536 (.claude), CVE-2025-61260 (.codex), CVE-2025-54135 (.cursor/mcp.json).
# opencode.ai/docs/config, agents.md, geminicli.com/docs, docs.cline.bot, docs.roocode.com, docs.continue.dev,
# ampcode.com, junie.jetbrains.com/docs, kiro.dev/docs, aider.chat/docs/config, docs.windsurf.com,
# qwenlm.github.io/qwen-code-docs.
_AGENT_SETTINGS: Final = (
    *_folders(".agent .agents .claude .claude-plugin .codex .cursor .gemini .qwen .iflow .windsurf .codeium .devin "
              ".opencode .crush .clinerules .cline .roo .kilocode .kilo .continue .amp .junie .aiassistant .augment "
              ".amazonq .kiro .goose .openhands .trae .factory .warp .tabnine .cody .sourcegraph .copilot .antigravity "
              ".mcp .mini-swe-agent .swe-agent .ruler .rulesync .bolt .grok .pi .vibe .forge .kimi .letta .plandex "
              ".void .cagent"),
    *_each(".mcp.json mcp.json .mcp.jsonc .mcp.yaml .mcp.yml mcp_config.json mcp-config.json mcp_settings.json "
           ".claude.json .opencode.json .opencode.jsonc opencode.json opencode.jsonc opencode.toml "
           "crush.json .crush.json amp.json kilo.json kilo.jsonc .continuerc.json .roomodes "
           ".kilocodemodes gemini-extension.json goose.yaml rulesync.json rulesync.jsonc forge.yaml "
           "codex.toml cagent.yaml cagent.yml"),
    *_each(".aider.conf.* .aider.model.* .aiderignore .clinerules-* .clineignore .cursorignore .cursorindexingignore "
           ".codeiumignore .geminiignore .aiexclude .aiignore .noai .rooignore .kilocodeignore .continueignore "
           ".augmentignore .gooseignore .claudeignore .copilotignore .clinerules .opencodeignore"),
)  # fmt: skip

# Instructions that people write for agents. They grant no rights, so agents may read them, but they control agents.
AGENT_TEXTS: Final = (
    *_each("AGENT.md AGENTS.md AGENTS.override.md AGENTS.local.md CLAUDE.md CLAUDE.local.md GEMINI.md QWEN.md WARP.md "
           "SKILL.md .cursorrules .windsurfrules .roorules .roorules-* .kilocoderules .continuerules .goosehints "
           ".augment-guidelines .openhands_instructions .voidrules .rules copilot-instructions.md"),
    *_each("CODEX.md OPENCODE.md CRUSH.md IFLOW.md GROK.md JULES.md REPLIT.md airules.md", under=""),
)  # fmt: skip

HIDDEN_FROM_AGENTS: Final = (*_AGENT_SETTINGS, *_EDITORS, *_ON_ENTRY)
"""Files from which an agent program, or a shell that it starts, takes settings."""

STEERING: Final = tuple(dict.fromkeys((*GIT, *_FORGES, *_CI, *_HOOKS, *AGENT_TEXTS, *HIDDEN_FROM_AGENTS)))
"""All patterns, without duplicates."""


def steers_agents(path: str) -> bool:
    """Whether the file `path` or a folder above it is hidden from agent programs, ignoring case."""
    return _HIDDEN.search(path.casefold()) is not None


def _regex(pattern: str) -> str:
    """A pattern of this list as a regular expression for a path and everything below it."""
    inner = pattern.removesuffix("/**")
    anywhere = inner.startswith("**/")
    body = re.escape(inner.removeprefix("**/").casefold()).replace(r"\*", "[^/]*")
    return f"{'(?:^|/)' if anywhere else '^'}{body}(?:/|$)"


_HIDDEN: Final = re.compile("|".join(map(_regex, HIDDEN_FROM_AGENTS)))
