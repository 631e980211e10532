"""The configured identity providers, built when a sign-in needs one and again when the configuration changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bot.identity_providers.provider import IdentityProvider
from bot.identity_providers.settings import ProviderSettings
from core.model.errors import NotFoundError

Build = Callable[[ProviderSettings], IdentityProvider]


def build_provider(settings: ProviderSettings) -> IdentityProvider:
    """The provider of these settings."""
    if settings.kind == "github":
        from bot.identity_providers.github import GitHubProvider

        return GitHubProvider(settings)
    from bot.identity_providers.oidc import OidcProvider

    return OidcProvider(settings)


@dataclass(slots=True)
class IdentityProviders:
    """Providers by name; `settings` are read at each use."""

    settings: Callable[[], Sequence[ProviderSettings]]
    build: Build = build_provider
    _built: dict[str, tuple[ProviderSettings, IdentityProvider]] = field(default_factory=dict)

    def listed(self) -> Sequence[ProviderSettings]:
        """Every provider, in the order of the configuration."""
        return self.settings()

    def named(self, name: str) -> tuple[ProviderSettings, IdentityProvider]:
        """The provider called `name`; raises `NotFoundError`."""
        settings = next((one for one in self.settings() if one.name == name), None)
        if settings is None:
            mend = "Choose a way on the page of signing in."
            raise NotFoundError("no_such_provider", "there is no such way to sign in", mend)
        known = self._built.get(name)
        if known is None or not _is_same(known[0], settings):
            known = self._built[name] = (settings, self.build(settings))
        return known


def _is_same(one: ProviderSettings, other: ProviderSettings) -> bool:
    """Whether two settings differ in nothing but the function that reads their secret."""
    return all(getattr(one, key) == getattr(other, key) for key in ("kind", "client_id", "issuer", "url", "api_url"))
