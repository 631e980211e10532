"""The check of manifests: files by which a small change brings in, or runs, a lot of other code."""

from __future__ import annotations

from typing import Final

from core.staged_diff import Finding
from policies.checks.scope import Scope, capped, warn
from policies.globs import Globs

# security.md 64: what package managers install from, and where they fetch it.
DEPENDENCIES: Final = Globs((
    "**/package.json", "**/package-lock.json", "**/npm-shrinkwrap.json", "**/yarn.lock", "**/pnpm-lock.yaml",
    "**/pnpm-workspace.yaml", "**/bun.lock", "**/bun.lockb", "**/deno.json", "**/deno.lock", "**/.npmrc", "**/.yarnrc",
    "**/.yarnrc.yml", "**/bower.json", "**/requirements*.txt", "**/requirements*.in", "**/requirements/*",
    "**/constraints*.txt", "**/pyproject.toml", "**/setup.cfg", "**/poetry.lock", "**/uv.lock", "**/pdm.lock",
    "**/pylock*.toml", "**/Pipfile", "**/Pipfile.lock", "**/environment.yml", "**/environment.yaml", "**/pip.conf",
    "**/.pypirc", "**/Cargo.toml", "**/Cargo.lock", "**/.cargo/**", "**/go.mod", "**/go.sum", "**/go.work",
    "**/Gemfile", "**/Gemfile.lock", "**/*.gemspec", "**/composer.json", "**/composer.lock", "**/pom.xml",
    "**/build.gradle", "**/build.gradle.kts", "**/settings.gradle*", "**/gradle.lockfile", "**/libs.versions.toml",
    "**/*.csproj", "**/packages.lock.json", "**/nuget.config", "**/mix.exs", "**/mix.lock", "**/pubspec.yaml",
    "**/pubspec.lock", "**/Package.swift", "**/Package.resolved", "**/Podfile", "**/Podfile.lock", "**/flake.nix",
    "**/flake.lock", "**/vcpkg.json", "**/conanfile.*", "**/Dockerfile*", "**/Containerfile*",
))  # fmt: skip

# security.md 65: what runs when somebody builds, tests or merely starts the project.
BUILD_HOOKS: Final = Globs((
    "**/setup.py", "**/conftest.py", "**/noxfile.py", "**/tox.ini", "**/pytest.ini", "**/hatch_build.py",
    "**/*.pth", "**/sitecustomize.py", "**/usercustomize.py", "**/Makefile", "**/GNUmakefile", "**/*.mk",
    "**/build.rs", "**/package.json", "**/binding.gyp", "**/Dockerfile*", "**/Containerfile*",
    "**/docker-compose*.yml", "**/compose.yaml", "**/compose.yml", "**/Taskfile.yml", "**/justfile", "**/Rakefile",
    "**/Gruntfile.js", "**/gulpfile.js", "**/*.config.js", "**/*.config.ts", "**/*.config.mjs", "**/*.config.cjs",
    "**/CMakeLists.txt", "**/*.cmake", "**/configure", "**/configure.ac", "**/meson.build", "**/BUILD",
    "**/BUILD.bazel", "**/WORKSPACE", "**/MODULE.bazel", "**/gradlew", "**/mvnw", "**/build.gradle*", "**/*.gemspec",
    "**/tasks.py", "**/.pnpmfile.cjs",
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
        if GENERATED.denies(file.path):
            found.append(warn("manifests", "looks generated or vendored: read it whole", file))
    return capped("manifests", found, "no dependency manifest or build hook")
