"""Parse database URLs strictly, and show them without their secrets.

Hazard: of a password with an unescaped `@`, `/` or `&`, a part ends up in another part of the URL. So every
text that is not exactly SCHEME://USER:PASSWORD@HOST:PORT/DATABASE?OPTIONS is refused, and never repeated in
an error.
"""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from sqlalchemy import make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from scalesync.errors import ConfigurationError, how_to_install

ADVICE_URL = "Use a file name, sqlite:///FILE or postgresql://USER@HOST/DATABASE."

_ADVICE_ESCAPES = (
    "It has to be postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with every @ : / ? # & % of the password "
    "written as %40 %3A %2F %3F %23 %26 %25."
)
_ADVICE_SEVERAL = "Several hosts are written as postgresql://USER:PASSWORD@/DATABASE?host=A:5432&host=B:5432."
_POSTGRES = re.compile(
    r"""(?P<scheme>postgres(?:ql)?(?:\+psycopg)?)://
    (?:(?P<user>[^@:/?\#\s]*)(?::(?P<password>[^@]*))?@)?
    (?P<host>\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\]|[\w.~-]*)
    (?::(?P<port>\d{0,5}))?
    (?:/(?P<database>[^@?]*))?
    (?:\?(?P<query>.*))?""",
    re.VERBOSE | re.IGNORECASE,
)
# Options of other programs' pools and prepared statements, in URLs that people copy; they are ignored.
_POOLING = {"pgbouncer", "connection_limit", "pool_timeout", "statement_cache_size", "prepared_statements"}
# Options that may be given more than once: the server is one of several.
_REPEATABLE = {"host", "hostaddr", "port"}
# Options whose values are shown; others may be secrets, or files with secrets.
_SHOWN = {"host", "hostaddr", "port", "user", "dbname", "sslmode", "connect_timeout", "application_name"}


def parse(text: str) -> URL:
    """Return the SQLAlchemy URL, with driver `sqlite` or `postgresql+psycopg`.

    Raises ConfigurationError, which repeats at most the scheme, for any other text.
    """
    scheme = text.partition("://")[0].lower()
    if scheme in {"sqlite", "sqlite+pysqlite"}:
        return _sqlite(text)
    if scheme in {"postgres", "postgresql", "postgresql+psycopg"}:
        return _postgres(text)
    if "://" not in text or not re.fullmatch(r"[a-z][a-z0-9+]{2,20}", scheme):
        raise ConfigurationError("The database URL cannot be read.", advice=ADVICE_URL)
    raise ConfigurationError(f"Databases of kind {scheme} are not supported.", advice=ADVICE_URL)


def display_url(url: URL) -> str:
    """Return the file of an SQLite mirror, or the URL without its secrets, for logs and messages."""
    if url.drivername == "sqlite":
        return str(url.database)
    hidden = {name: "***" for name in url.query if name not in _SHOWN}
    return url.update_query_dict(hidden).render_as_string(hide_password=True).replace("%2A", "*")


def without_secrets(text: str, url: URL) -> str:
    """Return a text, such as a driver's message, with the URL's secrets replaced by ***."""
    given = [value for name, value in url.query.items() if "password" in name or "secret" in name]
    values = [
        url.password,
        *(one for value in given for one in ([value] if isinstance(value, str) else value)),
    ]
    # The longest first: a secret may contain another one.
    for secret in sorted((str(value) for value in values if value), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def _sqlite(text: str) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise _unreadable("sqlite", ADVICE_URL) from None
    if "?" in text:
        advice = f"{ADVICE_URL} A ? in its name is written %3F in a URL."
        raise ConfigurationError("A mirror on SQLite needs a plain file, without options.", advice=advice)
    # %-escapes that are no UTF-8 would silently name another file.
    undecodable = "\N{REPLACEMENT CHARACTER}"
    if undecodable in str(url.database) and undecodable not in text:
        raise _unreadable("sqlite", ADVICE_URL)
    elsewhere = url.host is not None or url.username is not None
    if elsewhere or (re.search(r":[^@]*@", text[6:]) and not Path(str(url.database)).exists()):
        raise _unreadable("sqlite", ADVICE_URL)
    return url.set(drivername="sqlite")


def _postgres(text: str) -> URL:
    found = _POSTGRES.fullmatch(text)
    if found is None or not 1 <= int(found["port"] or 1) <= 65_535:
        advice = _ADVICE_SEVERAL if re.search(r"@[^@/?]*,[^@/?]*(/|$)", text) else _ADVICE_ESCAPES
        raise _unreadable("postgresql", advice)
    query = _options(found["query"] or "")
    user, password, database = (unquote(found[part] or "") for part in ("user", "password", "database"))
    url = URL.create(
        "postgresql+psycopg",
        user or None,
        password or None,
        found["host"].strip("[]") or None,
        int(found["port"] or 0) or None,
        database or None,
    )
    named = [user, database, *(v for k, v in query if k in _SHOWN)]
    misplaced = found["user"] is not None and "@" in (found["query"] or "")
    # In HOST:PORT/DATABASE?user=U&password=P@Q everything before the @ looks like a user and a password.
    misplaced = misplaced or re.search(r"\?\w+=", found["password"] or "") is not None
    undecodable = "\N{REPLACEMENT CHARACTER}" in f"{user}{password}{database}{query}"
    if misplaced or undecodable or ":" in user or any(map(_holds_password, named)):
        raise _unreadable("postgresql", _ADVICE_ESCAPES)
    return url.update_query_pairs((name, value) for name, value in query if name not in _POOLING)


def _options(query: str) -> list[tuple[str, str]]:
    """Return the options of a URL. Raises ConfigurationError for an option that libpq does not know."""
    known = _known()
    try:
        options = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
    except ValueError:
        raise _unreadable("postgresql", _ADVICE_ESCAPES) from None
    names = [name for name, _ in options]
    if not {*names} <= known | _POOLING:
        raise ConfigurationError(
            "The database URL has an option that the Postgres client library does not know.",
            advice=f"It knows {_joined(known & _SHOWN)} and more; a & within a password is written %26.",
        )
    if any(names.count(name) > 1 for name in {*names} - _REPEATABLE):
        raise ConfigurationError("The database URL has an option twice.", advice="Leave one of them out.")
    return options


@cache
def _known() -> frozenset[str]:
    """Return the options that libpq knows. Raises ConfigurationError if the driver is not installed."""
    try:
        from psycopg.pq import Conninfo
    except ImportError as error:
        raise ConfigurationError(
            "The Postgres driver is not installed.", advice=how_to_install("postgres")
        ) from error
    return frozenset(option.keyword.decode() for option in Conninfo.get_defaults())


def _holds_password(text: str) -> bool:
    return re.search(r":[^@]*@|passw(or)?d\s*[=:]", text, re.IGNORECASE) is not None


def _unreadable(scheme: str, advice: str) -> ConfigurationError:
    # Never raised `from` the parser's error, which repeats the text: it may be a password.
    return ConfigurationError(f"The database URL cannot be read ({scheme}://...).", advice=advice)


def _joined(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
