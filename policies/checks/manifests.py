"""Checks for manifests and build files, with which a small change adds or runs much other code."""

from __future__ import annotations

from typing import Final

from core.model.staged_diff import Finding
from policies.checks.scope import Scope, capped, warn
from policies.globs import Globs

# security.md 64: the files that tell package managers what to install, and from where.
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

# security.md 65: files that run code when someone builds, tests or starts the project. They are part of ordinary
# changes, so they only warn; files that only configure tools are protected (`core.model.protected_files`).
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

# Compose and deployment files start programs on CI and on hosts. Opening a folder does not run them, and changes of
# images and ports are ordinary, so they only warn.
DEPLOYMENTS: Final = Globs((
    "**/docker-compose*.y*ml", "**/compose.y*ml", "**/compose.*.y*ml", "**/compose-*.y*ml", "**/*.compose.y*ml",
    "**/podman-compose*.y*ml", "**/container-compose*.y*ml", "**/docker-stack*.y*ml", "**/stack.y*ml",
    "**/*-compose.y*ml", "**/docker-compose*.json", "**/Procfile*", "**/heroku.yml", "**/netlify.toml",
    "**/vercel.json", "**/render.yaml", "**/fly.toml", "**/railway.json", "**/railway.toml", "**/wrangler.*",
    "**/Tiltfile", "**/skaffold.y*ml", "**/helmfile*.y*ml", "**/serverless.y*ml", "**/Pulumi.y*ml",
))  # fmt: skip

# security.md 66: files that reviewers tend to skip.
GENERATED: Final = Globs((
    "**/vendor/**", "**/node_modules/**", "**/third_party/**", "**/dist/**", "**/*.min.js", "**/*.min.css",
    "**/*.map", "**/*_pb2.py", "**/*.pb.go", "**/*.generated.*",
))  # fmt: skip


def check_manifests(scope: Scope) -> list[Finding]:
    """Warn about files that change dependencies, run on CI or are usually not reviewed."""
    findings: list[Finding] = []
    for file in scope.files:
        if DEPENDENCIES.denies(file.path):
            findings.append(warn("manifests", "changes dependencies", file))
        if BUILD_HOOKS.denies(file.path):
            findings.append(warn("manifests", "runs on CI", file))
        if DEPLOYMENTS.denies(file.path):
            findings.append(warn("manifests", "runs on CI or hosts", file))
        if GENERATED.denies(file.path):
            findings.append(warn("manifests", "looks generated or vendored: read all of it", file))
    return capped("manifests", findings, "no dependency manifest or build hook")
