"""What the global options say, made into an App when a command needs one."""

import gc
import os
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from scalesync.clock import Clock
from scalesync.settings import Settings, SettingsInput, load_settings

if TYPE_CHECKING:
    from scalesync.app import App


@dataclass(frozen=True)
class Context:
    """The global options of one call."""

    db: str | None = field(repr=False)
    """It may hold a password."""
    api_url: str | None
    api_key_file: str | None
    api_key_keyring: str | None
    patience: timedelta | None
    insecure_http: bool
    quiet: bool

    def settings(self) -> Settings:
        """Return the settings. Raises ConfigurationError for what cannot be used."""
        chosen = SettingsInput(
            database=self.db,
            api_url=self.api_url,
            key_file=self.api_key_file,
            keyring=self.api_key_keyring,
            patience=self.patience,
            insecure_http=self.insecure_http,
        )
        return load_settings(chosen, os.environ)

    def app(self, clock: Clock | None = None) -> "App":
        """Return the App that these options describe."""
        settings = self.settings()
        from scalesync.app import App

        enable_gc()
        return App(settings, clock or Clock())


def enable_gc() -> None:
    """Let garbage be collected from now on, without looking at what is there by now, which is none."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
