"""What a person configured, in one frozen value. Secrets never show in it."""

import logging
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from scalesync.errors import ConfigurationError
from scalesync.model import DEFAULT_API_URL

DEFAULT_DATABASE = "scalesync.db"

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Secret:
    """A text that shows only to whoever asks for it by `reveal`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __repr__(self) -> str:
        """Return nothing of the text."""
        return "Secret(***)"


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the mirror is, where the API is, and the key to it."""

    database_url: str
    api_url: str
    key: Secret | None
    lease: float = 30.0
    """Seconds after which others may take over what a silent process held."""
    patience: float | None = None
    """Seconds that one read is tried again at the most; None: the client's own."""

    def require_key(self) -> Secret:
        """Return the key. Raises ConfigurationError if none was given."""
        if self.key is None:
            msg = "No API key."
            raise ConfigurationError(msg, advice="Set SCALE_API_KEY, or name a file with --api-key-file.")
        return self.key


def resolve(
    *,
    database: str | None,
    api_url: str | None,
    key_file: str | None,
    environment: Mapping[str, str],
    patience: timedelta | None = None,
) -> Settings:
    """Return the settings that flags and environment make together. Raises ConfigurationError."""
    return Settings(
        database_url=database_url(database or DEFAULT_DATABASE),
        api_url=(api_url or DEFAULT_API_URL).rstrip("/"),
        key=_read_key(key_file, environment),
        patience=None if patience is None else patience.total_seconds(),
        lease=_read_lease(environment),
    )


def database_url(text: str) -> str:
    """Return a database URL for a URL or the path of an SQLite file."""
    if "://" in text:
        return text
    return f"sqlite:///{Path(text).expanduser().absolute()}"


def parse_duration(text: str) -> timedelta:
    """Return the time span that `90s`, `15m`, `2h`, `1d` or a plain number of seconds names.

    Raises ConfigurationError for anything else.
    """
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)([smhd]?)", text.strip())
    if match is None:
        msg = f"{text!r} is not a time span."
        raise ConfigurationError(msg, advice="Write for example 90s, 15m, 2h or 1d.")
    try:
        return timedelta(**{_UNITS[match[2] or "s"]: float(match[1])})
    except OverflowError as error:
        msg = f"{text!r} is too long a time span."
        raise ConfigurationError(msg, advice="Write for example 90s, 15m, 2h or 1d.") from error


def _read_lease(environment: Mapping[str, str]) -> float:
    text = environment.get("SCALESYNC_LEASE", "30s")
    seconds = parse_duration(text).total_seconds() if re.match(r"\d", text) else 0.0
    if seconds < 1:
        msg = f"SCALESYNC_LEASE is {text!r}, which is no time span of a second or more."
        raise ConfigurationError(msg, advice="Write for example 30s.")
    return seconds


def _read_key(key_file: str | None, environment: Mapping[str, str]) -> Secret | None:
    text = environment.get("SCALE_API_KEY", "") if key_file is None else _read_key_file(Path(key_file))
    text = text.strip()
    if not text:
        return None
    if not text.isascii() or not text.isprintable() or " " in text:
        msg = "The API key holds characters that no key has."
        raise ConfigurationError(msg, advice="Copy it again from the Scale dashboard, on one line.")
    return Secret(text)


def _read_key_file(path: Path) -> str:
    try:
        text = path.read_text()
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        msg = f"The key file {path} cannot be read: {reason}."
        raise ConfigurationError(msg, advice="Correct --api-key-file.") from error
    if os.name == "posix" and mode & (stat.S_IRGRP | stat.S_IROTH):
        logging.getLogger("scalesync").warning("The key file %s can be read by others: chmod 600 it.", path)
    if not text.strip():
        msg = f"The key file {path} is empty."
        raise ConfigurationError(msg, advice="Put the API key into it.")
    return text
