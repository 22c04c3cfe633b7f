"""The global options of a call, made into a Mirror when a command needs one."""

import gc
import os
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from scalesync.clock import Clock
from scalesync.settings import Settings, SettingsInput, load_settings

if TYPE_CHECKING:
    from scalesync.mirror import Mirror


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

    def mirror(self, clock: Clock | None = None) -> "Mirror":
        """Return the mirror that these options describe; a stop of `clock` ends what it does."""
        settings = self.settings()
        from scalesync.mirror import Mirror

        enable_gc()
        return Mirror.from_settings(settings, clock or Clock())


def enable_gc() -> None:
    """Let garbage be collected from now on, without looking at what is there by now, which is none."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
