"""The check of manifests: files by which a small change brings in, or runs, a lot of other code."""

from __future__ import annotations

from typing import Final

from core.model.staged_diff import Finding
from policies.checks.scope import Scope, capped, warn
from policies.globs import Globs

# security.md 64: what package managers install from, and where they fetch it.
DEPENDENCIES: Final = Globs((
    "**/package.json", "**/package-lock.json", "**/npm-shrinkwrap.json", "**/yarn.lock", "**/pnpm-lock.yaml",
    "**/pnpm-workspace.yaml", "**/bun.lock", "**/bun.lockb", "**/deno.json", "**/deno.lock", "**/.npmrc",
    "**/.yarnrc", "**/.yarnrc.yml", "**/bower.json", "**/requirements*.txt", "**/requirements*.in",
    "**/requirements/*", "**/constraints*.txt", "**/pyproject.toml", "**/setup.cfg", "**/poetry.lock", "**/uv.lock",
    "**/pdm.lock", "**/pylock*.toml", "**/Pipfile", "**/Pipfile.lock", "**/environment.yml", "**/environment.yaml",
    "**/pip.conf", "**/.pypirc", "**/Cargo.toml", "**/Cargo.lock", "**/.cargo/**", "**/go.mod", "**/go.sum",
    "**/go.work", "**/Gemfile", "**/Gemfile.lock", "**/*.gemspec", "**/composer.json", "**/composer.lock",
    "**/pom.xml", "**/build.gradle", "**/build.gradle.kts", "**/settings.gradle*", "**/gradle.lockfile",
    "**/libs.versions.toml", "**/*.csproj", "**/packages.lock.json", "**/nuget.config", "**/mix.exs", "**/mix.lock",
    "**/pubspec.yaml", "**/pubspec.lock", "**/Package.swift", "**/Package.resolved", "**/Podfile",
    "**/Podfile.lock", "**/flake.nix", "**/flake.lock", "**/devbox.lock", "**/devenv.lock", "**/pixi.toml",
    "**/pixi.lock", "**/vcpkg.json", "**/conanfile.*", "**/Dockerfile*", "**/Containerfile*", "**/.tool-versions",
    "**/.python-version", "**/.node-version", "**/.nvmrc", "**/.ruby-version", "**/.java-version",
    "**/.terraform-version", "**/.sdkmanrc", "**/rust-toolchain", "**/rust-toolchain.toml", "**/global.json",
    "**/mise.lock",
))  # fmt: skip

# security.md 65: what runs when somebody builds, tests or merely starts the project. Lanes edit these in the ordinary
# course of work, so they are flagged; what only steers machines is protected (`core.model.steering`).
BUILD_HOOKS: Final = Globs((
    "**/setup.py", "**/conftest.py", "**/noxfile.py", "**/tox.ini", "**/tox.toml", "**/pytest.ini",
    "**/hatch_build.py", "**/*.pth", "**/sitecustomize.py", "**/usercustomize.py", "**/tasks.py", "**/fabfile.py",
    "**/dodo.py", "**/Makefile", "**/Makefile.*", "**/GNUmakefile", "**/BSDmakefile", "**/*.mk", "**/*.mak",
    "**/Taskfile*.y*ml", "**/justfile", "**/.justfile", "**/*.just", "**/Rakefile", "**/*.rake", "**/Guardfile",
    "**/Dangerfile", "**/Fastfile", "**/build.rs", "**/package.json", "**/binding.gyp", "**/.pnpmfile.cjs",
    "**/.pnp.*", "**/.yarn/**", "**/nx.json", "**/turbo.json", "**/lerna.json", "**/Gruntfile.*", "**/gulpfile.*",
    "**/Jakefile*", "**/.*rc.js", "**/.*rc.cjs", "**/.*rc.mjs", "**/.*rc.ts", "**/*.config.js", "**/*.config.ts",
    "**/*.config.mjs", "**/*.config.cjs", "**/*.config.mts", "**/*.config.cts", "**/Dockerfile*", "**/*.Dockerfile",
    "**/Containerfile*", "**/docker-bake.*", "**/CMakeLists.txt", "**/CMakePresets.json",
    "**/CMakeUserPresets.json", "**/*.cmake", "**/configure", "**/configure.ac", "**/meson.build", "**/BUILD",
    "**/BUILD.bazel", "**/WORKSPACE", "**/WORKSPACE.bazel", "**/MODULE.bazel", "**/*.bzl", "**/.bazelrc",
    "**/gradlew", "**/gradlew.bat", "**/gradle/wrapper/**", "**/*.gradle", "**/*.gradle.kts", "**/mvnw",
    "**/mvnw.cmd", "**/.mvn/**", "**/build.xml", "**/build.sbt", "**/project/plugins.sbt", "**/Directory.Build.*",
    "**/*.targets", "**/*.props", "**/build.zig", "**/SConstruct", "**/SConscript", "**/wscript", "**/*.gemspec",
    "**/extconf.rb", "**/mix.exs", "**/rebar.config", "**/project.clj", "**/deps.edn", "**/bb.edn", "**/Setup.hs",
    "**/*.nix", "**/.Rprofile", "**/.releaserc*", "**/.goreleaser.y*ml", "**/Vagrantfile",
))  # fmt: skip

# Compose and deployment files: they start programs on CI and on hosts. Nothing runs them when a folder is merely
# opened, and teams ask for changes of images and ports in them, so a person decides.
DEPLOYMENTS: Final = Globs((
    "**/docker-compose*.y*ml", "**/compose.y*ml", "**/compose.*.y*ml", "**/compose-*.y*ml", "**/*.compose.y*ml",
    "**/podman-compose*.y*ml", "**/container-compose*.y*ml", "**/docker-stack*.y*ml", "**/stack.y*ml",
    "**/*-compose.y*ml", "**/docker-compose*.json", "**/Procfile*", "**/heroku.yml", "**/netlify.toml",
    "**/vercel.json", "**/render.yaml", "**/fly.toml", "**/railway.json", "**/railway.toml", "**/wrangler.*",
    "**/Tiltfile", "**/skaffold.y*ml", "**/helmfile*.y*ml", "**/serverless.y*ml", "**/Pulumi.y*ml",
))  # fmt: skip

# security.md 66: what reviewers skip over.
GENERATED: Final = Globs((
    "**/vendor/**", "**/node_modules/**", "**/third_party/**", "**/dist/**", "**/*.min.js", "**/*.min.css",
    "**/*.map", "**/*_pb2.py", "**/*.pb.go", "**/*.generated.*",
))  # fmt: skip


def manifests(scope: Scope) -> list[Finding]:
    """Say which files change dependencies, run on CI, or are usually not read."""
    found: list[Finding] = []
    for file in scope.files:
        if DEPENDENCIES.denies(file.path):
            found.append(warn("manifests", "changes dependencies", file))
        if BUILD_HOOKS.denies(file.path):
            found.append(warn("manifests", "runs on CI", file))
        if DEPLOYMENTS.denies(file.path):
            found.append(warn("manifests", "runs on CI or hosts", file))
        if GENERATED.denies(file.path):
            found.append(warn("manifests", "looks generated or vendored: read it whole", file))
    return capped("manifests", found, "no dependency manifest or build hook")
