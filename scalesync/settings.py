"""Settings from options and environment, as one frozen value whose repr shows no secret."""

import logging
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from scalesync.errors import ConfigurationError, how_to_install
from scalesync.models.api import DEFAULT_API_URL
from scalesync.sqlite_files import readable_by_others
from scalesync.timestamps import parse_duration

DEFAULT_DATABASE = "scalesync.db"

KEYRING_USER = "api-key"
"""The user name of the key in a keyring's service: `keyring set SERVICE api-key`."""

_LIKE_AN_ADDRESS = re.compile(
    r"^\s*(postgres|sqlite|mysql|jdbc)[\w+.-]*\s*[:;]|:[^@]*@|\b(\w*passw(or)?d|dbname|host|user)\s*=",
    re.IGNORECASE,
)
"""A scheme without `//`, user and password without a scheme, or libpq's KEY=VALUE."""


class Secret:
    """A text that its repr does not show."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text."""
        return self._text

    def __repr__(self) -> str:
        """Hide the text."""
        return "Secret(***)"


class KeyringSecret(Secret):
    """The API key in the system's keyring, which is read at the first `reveal`."""

    __slots__ = ("_service",)

    def __init__(self, service: str) -> None:
        super().__init__("")
        self._service = service

    def reveal(self) -> str:
        """Return the key. Raises ConfigurationError if the keyring cannot be read or has no key."""
        self._text = self._text or _checked_key(_read_keyring(self._service))
        return self._text


@dataclass(frozen=True, slots=True)
class SettingsInput:
    """The options that a person gave; None: not given."""

    database: str | None = field(default=None, repr=False)
    """A URL, which may hold a password, or a path."""
    api_url: str | None = None
    key_file: str | None = None
    keyring: str | None = None
    """The service of the key in the system's keyring."""
    patience: timedelta | None = None
    insecure_http: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """Database, API URL and key."""

    database_url: str = field(repr=False)
    api_url: str
    key: Secret | None
    lease: float = 30.0
    """Seconds after which other processes may take over the claims of a silent process."""
    patience: float | None = None
    """Seconds for which one read is retried; None: the client's default."""
    insecure_http: bool = False
    """Whether the key may travel unencrypted to another machine."""

    def require_key(self) -> Secret:
        """Return the key. Raises ConfigurationError if none was given."""
        if self.key is None:
            msg = "No API key."
            raise ConfigurationError(msg, advice="Set SCALE_API_KEY, or name a file with --api-key-file.")
        return self.key


def load_settings(given: SettingsInput, environment: Mapping[str, str]) -> Settings:
    """Build the settings from options and environment. Raises ConfigurationError.

    A keyring is read only if it was chosen, and not before the key is needed.
    """
    _refuse_empty(given)
    return Settings(
        database_url=database_url(DEFAULT_DATABASE if given.database is None else given.database),
        api_url=_without_secrets((given.api_url or DEFAULT_API_URL).rstrip("/")),
        key=_find_key(given, environment),
        patience=None if given.patience is None else given.patience.total_seconds(),
        lease=_read_lease(environment),
        insecure_http=given.insecure_http,
    )


def _refuse_empty(given: SettingsInput) -> None:
    """Raise ConfigurationError for an empty option: it must not mean the default."""
    texts = {
        "database": given.database,
        "API's address": given.api_url,
        "key file's name": given.key_file,
        "keyring's service": given.keyring,
    }
    for what, text in texts.items():
        if text == "":
            raise ConfigurationError(f"The {what} is empty.", advice="Name it, or leave it out.")


def database_url(text: str) -> str:
    """Return the database URL for a URL or the path of an SQLite file; `~` is expanded.

    Raises ConfigurationError for what is no file name and for what looks like another kind of URL.
    """
    # The message does not repeat the text: a malformed URL may hold a password.
    if "://" in text:
        return text.strip()
    if _LIKE_AN_ADDRESS.search(text) and not os.path.exists(os.path.expanduser(text)):  # noqa: PTH110, PTH111
        msg = "The database URL cannot be read."
        raise ConfigurationError(
            msg, advice="Write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, or a file name."
        )
    if not text or text.endswith("/") or text == ":memory:" or text.startswith("file:") or "\0" in text:
        msg = "The database has to be a plain file: no directory, nothing in memory, no URI (file:...)."
        raise ConfigurationError(msg, advice="Write a file name; with ./ before it, it may be any.")
    # Not Path.expanduser, which raises if there is no user of the name behind the ~.
    path = Path(os.path.expanduser(text)).absolute()  # noqa: PTH111
    # These two have a meaning in a URL.
    return f"sqlite:///{path}".replace("%", "%25").replace("?", "%3F")


def _read_lease(environment: Mapping[str, str]) -> float:
    text = environment.get("SCALESYNC_LEASE", "30s")
    # A lease of less than a second would expire while its owner is only slow.
    seconds = parse_duration(text).total_seconds() if re.match(r"\d", text) else 0.0
    if seconds < 1:
        msg = f"SCALESYNC_LEASE is {text!r}, which is no time span of a second or more."
        raise ConfigurationError(msg, advice="Write for example 30s.")
    return seconds


def read_max_age(environment: Mapping[str, str]) -> timedelta | None:
    """Return the `max_age` of drop-in clients that are made without one; None if it is not set.

    Raises ConfigurationError for what is no time span.
    """
    text = environment.get("SCALESYNC_MAX_AGE", "")
    return parse_duration(text) if text else None


def _without_secrets(api_url: str) -> str:
    """Return the API's URL if it holds no secret, else raise ConfigurationError."""
    # The URL is printed, and stored in the mirror.
    if any(sign in api_url for sign in ("@", "?", "#", "%40", "%3A", "%3a")):
        msg = "The API's address may hold no user name, password, query or fragment."
        raise ConfigurationError(msg, advice="Hand over the key as SCALE_API_KEY.")
    return api_url


def _find_key(given: SettingsInput, environment: Mapping[str, str]) -> Secret | None:
    """Return the key from the file or keyring that was chosen, else from the environment, else None."""
    if given.key_file is not None and given.keyring is not None:
        msg = "The API key is to come from a file and from the keyring."
        raise ConfigurationError(msg, advice="Leave out --api-key-file or --api-key-keyring.")
    if given.keyring is not None:
        return KeyringSecret(given.keyring)
    if given.key_file is not None:
        return Secret(_checked_key(_read_key_file(Path(given.key_file))))
    text = environment.get("SCALE_API_KEY", "")
    return Secret(_checked_key(text)) if text.strip() else None


def _checked_key(text: str) -> str:
    """Return the key without surrounding spaces. Raises ConfigurationError, without the key, if malformed."""
    key = text.strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        msg = "The API key holds characters that no key has."
        raise ConfigurationError(msg, advice="Copy it again from the Scale dashboard, on one line.")
    return key


def _read_key_file(path: Path) -> str:
    text = read_secret(path, "key", option="--api-key-file")
    if not text.strip():
        msg = f"The key file {path} is empty."
        raise ConfigurationError(msg, advice="Put the API key into it.")
    return text


def read_secret(path: Path, what: str, *, option: str) -> str:
    """Return the text of a file with a secret; warn if others can read it.

    Raises ConfigurationError, which names `what` and the option, for a file that cannot be read.
    """
    try:
        text = path.read_text()
        readable = readable_by_others(path)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        msg = f"The {what} file {path} cannot be read: {reason}."
        raise ConfigurationError(msg, advice=f"Correct {option}.") from error
    if readable:
        log = logging.getLogger("scalesync")
        log.warning("The %s file %s can be read by others: chmod 600 it.", what, path)
    return text


def _read_keyring(service: str) -> str:
    try:
        import keyring
    except ModuleNotFoundError as error:
        msg = "The keyring needs a package that is not installed."
        raise ConfigurationError(msg, advice=how_to_install("keyring")) from error
    try:
        text = keyring.get_password(service, KEYRING_USER)
    except Exception as error:  # backends raise errors of any type
        # Only the first sentence of the backend's message, which may have many lines.
        message = next(iter(str(error).strip().splitlines()), type(error).__name__)
        reason = message.partition(". ")[0].rstrip(".")
        msg = f"The keyring cannot be read: {reason}."
        raise ConfigurationError(msg, advice="Unlock it, or use --api-key-file.") from error
    if not text or not text.strip():
        advice = f"Put it there with `keyring set {shlex.quote(service)} {KEYRING_USER}`."
        raise ConfigurationError(f"The keyring holds no API key under {service!r}.", advice=advice)
    return text
