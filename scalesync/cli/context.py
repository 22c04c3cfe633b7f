"""The global options of a call, from which a command creates its Mirror."""

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
    asked_at: float = field(default_factory=Clock().monotonic)
    """On the monotonic clock: when the command was given, before its slow imports."""

    def settings(self) -> Settings:
        """Return the settings. Raises ConfigurationError for an invalid option."""
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
        """Return the mirror of these options; stopping `clock` stops its calls."""
        # Wrong options are reported before the slow import.
        settings = self.settings()
        from scalesync.mirror import Mirror

        enable_gc()
        return Mirror.from_settings(settings, clock or Clock())


def enable_gc() -> None:
    """Enable garbage collection, without the objects that exist already."""
    # All of those are modules, which stay: looking at them would take long.
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
