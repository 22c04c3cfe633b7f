"""What the global options say, made into an App when a command needs one."""

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from scalesync.clock import Clock
from scalesync.settings import Settings, resolve

if TYPE_CHECKING:
    from scalesync.app import App


@dataclass(frozen=True)
class Context:
    """The global options of one call."""

    db: str | None
    api_url: str | None
    api_key_file: str | None
    patience: timedelta | None
    quiet: bool = False

    def settings(self) -> Settings:
        """Return the settings. Raises ConfigurationError for what cannot be used."""
        return resolve(
            database=self.db,
            api_url=self.api_url,
            key_file=self.api_key_file,
            environment=os.environ,
            patience=self.patience,
        )

    def app(self, clock: Clock | None = None) -> "App":
        """Return the App that these options describe."""
        settings = self.settings()
        from scalesync.app import App

        return App(settings, clock or Clock())
