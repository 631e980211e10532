"""Files that steer agents, editors, shells, hooks and CI: one list of what is protected and hidden from agents."""

from __future__ import annotations

import pytest

from core.model.decision import Effect
from core.model.lane import Lane
from core.model.protected_files import AGENT_TEXTS, HIDDEN_FROM_AGENTS, STEERING, steers_agents
from policies.protected import PROTECTED, protected
from tests.unit.policies.cases import ANYWHERE, LANES, blocked, decide, judged, of, policy

pytestmark = pytest.mark.law


def words(text: str) -> list[str]:
    return text.split()


AGENTS = words("""
opencode.json opencode.jsonc .opencode.json .opencode/plugin/x.ts .agents/skills/x/SKILL.md .agent/rules/x.md
.claude .claude/settings.local.json .claude-plugin/plugin.json .codex/config.toml .cursor/mcp.json
.windsurf/rules/a.md .devin/x .gemini/settings.json .qwen/settings.json .aider.conf.yml .aider.conf.yaml
.aider.model.settings.yml .cline/x .clinerules .clinerules/a.md .clinerules-code .roo/mcp.json .roomodes
.kilocode/mcp.json .continue/config.yaml .continuerc.json .amp/settings.json .junie/guidelines.md .mcp.json mcp.json
.mcp/x.json mcp_config.json .kiro/settings/mcp.json .amazonq/mcp.json .augment/rules.md .goose/x .openhands/setup.sh
.trae/rules/x .factory/mcp.json .crush.json crush.json .copilot/mcp-config.json web/opencode.json web/.MCP.json
apps/api/.Claude/settings.json .aiassistant/rules/x.md gemini-extension.json .cursorignore .aiexclude .rulesync/x
""")
EDITORS = words("""
.vscode/tasks.json .vscode/mcp.json web/.vscode/settings.json x.code-workspace .vs/tasks.vs.json
.idea/runConfigurations/x.xml .run/x.run.xml x.run.xml .fleet/run.json .zed/tasks.json .helix/languages.toml
.vim/coc-settings.json .exrc .nvim.lua .dir-locals.el x.sublime-project .devcontainer/devcontainer.json
.devcontainer.json devcontainer.json .gitpod.yml .idx/dev.nix
""")
ON_ENTRY = words("""
mise.toml .mise.toml mise.local.toml .mise.local.toml mise.ci.toml .mise/config.toml mise/config.toml
.config/mise.toml .config/mise/config.toml .config/mise/conf.d/x.toml mise-tasks/build .mise-tasks/x mise/tasks/x
.mise/tasks/x web/mise.toml .envrc web/.envrc .env .env.local devbox.json .devbox/x devenv.nix devenv.yaml .gdbinit
.lldbinit .pdbrc .irbrc .pryrc .ghci .shadowenv.d/a.lisp
""")
TEXTS = words("""
AGENTS.md web/AGENTS.md agents.md AGENT.md AGENTS.override.md CLAUDE.md CLAUDE.local.md GEMINI.md QWEN.md WARP.md
CODEX.md .cursorrules .windsurfrules .roorules .roorules-code .rules .goosehints .augment-guidelines
""")
CI = words("""
.github/workflows/x.yml .gitlab-ci.yml .gitlab-ci.yaml ci/x.gitlab-ci.yml .woodpecker.yaml .woodpecker.yml
.woodpecker/x.yaml .drone.yml .drone.yaml .drone.star .drone.jsonnet azure-pipelines.yml azure-pipelines.yaml
.azure-pipelines/x.yml build/azure-pipelines-release.yml .circleci/config.yml .travis.yml .travis.yaml
.buildkite/pipeline.yml .buildkite/hooks/x buildkite.yml bitbucket-pipelines.yml Jenkinsfile ci/Jenkinsfile.deploy
x.jenkinsfile appveyor.yml .appveyor.yaml .cirrus.yml .cirrus.yaml .cirrus.star .semaphore/semaphore.yml
.tekton/push.yaml Earthfile api/Earthfile cloudbuild.yaml cloudbuild.json buildspec.yml codemagic.yaml bitrise.yml
.build.yml .builds/x.yml .zuul.yaml zuul.d/x.yaml .prow.yaml .taskcluster.yml .readthedocs.yaml dagger.json
.dagger/src/main.py action.yml OWNERS CODEOWNERS renovate.json .renovaterc .mergify.yml .asf.yaml
.teamcity/settings.kts .azure-pipelines.yml AZURE-PIPELINES.YML
""")
HOOKS = words("""
lefthook.yml lefthook.yaml lefthook.json lefthook.toml .lefthook.yaml .lefthook.json lefthook-local.yml
.config/lefthook.yml .lefthook/pre-commit/x.sh .pre-commit-config.yaml .pre-commit-config.yml .pre-commit-hooks.yaml
prek.toml .husky/pre-commit .huskyrc .huskyrc.json husky.config.js .overcommit.yml .git-hooks/x .githooks/x
.simple-git-hooks.json simple-git-hooks.cjs .lintstagedrc.json lint-staged.config.js captainhook.json grumphp.yml
hk.pkl
""")


@pytest.mark.parametrize("path", [*AGENTS, *EDITORS, *ON_ENTRY, *TEXTS, *CI, *HOOKS])
async def test_guard_07_what_steers_machines_is_protected_in_every_lane(path):
    report = await judged({path: b"x"}, lane=ANYWHERE)
    assert blocked(report, "protected"), path
    assert "any lane" in of(report, "protected")[0].detail


@pytest.mark.parametrize("path", [*AGENTS, *EDITORS, *ON_ENTRY])
def test_guard_07_what_steers_an_agent_program_is_hidden_from_it(path):
    assert steers_agents(path)
    assert steers_agents(path.upper())


@pytest.mark.parametrize(
    "path", [*TEXTS, *CI, "docs/mise.md", "src/agents/x.py", "opencode.json.md", "vscode/x", "env"]
)
def test_guard_07_agents_may_read_texts_for_them_and_everything_else(path):
    assert not steers_agents(path)


def test_guard_07_what_is_hidden_from_agents_is_protected_too():
    guard = protected()
    assert set(HIDDEN_FROM_AGENTS) <= set(STEERING) <= set(PROTECTED)
    assert not set(HIDDEN_FROM_AGENTS) & set(AGENT_TEXTS)
    for pattern in HIDDEN_FROM_AGENTS:
        for folder in ("", "a/b/"):
            path = folder + pattern.removeprefix("**/").removesuffix("/**").replace("*", "q")
            assert steers_agents(path), pattern
            assert guard.denies(path.encode()), pattern
    assert len(STEERING) == len(set(STEERING))


@pytest.mark.parametrize(
    "path", ["mise.toml", "opencode.json", ".woodpecker.yaml", "lefthook.yaml", "azure-pipelines.yaml"]
)
def test_guard_07_the_starter_policy_denies_a_request_that_names_such_a_file(path):
    decision = decide(policy(), path)
    assert decision.effect is Effect.DENY
    assert path in decision.reason


@pytest.mark.parametrize(
    "path",
    words("""
    docker-compose.yaml docker-compose.yml docker-compose.prod.yaml compose.yaml compose.yml compose.override.yaml
    deploy/docker-compose-dev.yaml Docker-Compose.yaml podman-compose.yml docker-compose.override.yml netlify.toml
    Procfile
    """),
)
async def test_guard_07_a_compose_file_may_be_changed_and_is_flagged(path):
    report = await judged({path: b"x"}, lane=Lane("c", "c", ("**",), "edit"))
    assert not report.blocked
    assert "runs on CI or hosts" in {f.detail for f in of(report, "manifests")}


@pytest.mark.parametrize(
    "path",
    words("""
    Taskfile.yaml taskfile.yml Taskfile.dist.yml .justfile a.just Makefile.am BSDmakefile rakefile lib/x.rake
    GulpFile.mjs .yarn/plugins/x.cjs .yarn/releases/yarn.cjs .pnp.loader.mjs shell.nix flake.nix app.gradle
    gradle/wrapper/gradle-wrapper.jar .mvn/extensions.xml vite.config.mts .eslintrc.cjs .Rprofile .bazelrc defs.bzl
    package.json Makefile
    """),
)
async def test_guard_07_a_build_file_is_flagged_in_every_spelling(path):
    assert "runs on CI" in {f.detail for f in of(await judged({path: b"x"}), "manifests")}


@pytest.mark.parametrize(
    "path",
    words("""
    docs/lefthook.md docs/azure-pipelines.md docs/mise.md src/owners/views.py app/agents/base.py config/app.yaml
    settings.toml app.json src/mcp.py docs/agents/intro.md mise.md renovate.md .env.example src/compose.py
    docs/opencode.md
    """),
)
async def test_guard_07_files_that_only_have_a_similar_name_are_free(path):
    report = await judged({path: b"x"})
    assert not blocked(report, "protected")
    assert [f.detail for f in of(report, "manifests")] == ["no dependency manifest or build hook"]


async def test_guard_07_the_config_lane_still_covers_ordinary_settings():
    assert not (await judged({"app.toml": b"x = 1\n", "config/a.yaml": b"a: 1\n"}, lane=LANES["config"])).blocked
