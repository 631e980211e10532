"""What every service of a home is built on: its configuration, its database and its files."""

from __future__ import annotations

from functools import cached_property

from bot.configuration.config import Config
from bot.configuration.home import Home
from bot.configuration.live_settings import LiveSettings
from core.ports.reporting import Milestones
from core.store.artifacts import ArtifactFiles
from core.store.database import Database, Location


class HomeParts:
    """The parts of one opened home; `settings` are read at each use, the database is opened once."""

    def __init__(self, home: Home, settings: LiveSettings, database: Database, milestones: Milestones) -> None:
        self.home = home
        self.settings = settings
        self.database = database
        self.milestones = milestones

    @property
    def config(self) -> Config:
        """countersign.yaml in force now."""
        return self.settings.config()

    @property
    def location(self) -> Location:
        """Where the database is."""
        return self.database.location

    @cached_property
    def files(self) -> ArtifactFiles:
        """The files of artifacts."""
        return ArtifactFiles(self.home.artifacts)
