"""Addresses of pages: filters, places in a list and links, which all come from strangers."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from urllib.parse import quote, urlencode

from scalesync.errors import ConfigurationError
from scalesync.models.selection import RANGES, SEVERAL, Selection, selection_of
from scalesync.timestamps import format_instant, parse_instant
from scalesync.web.pages import PageRequest, Query

TASK_FILTERS = (
    "project", "batch", "status", "type", "unique_id", "customer_review_status", "tags", "since", "until",
    *(name for names in RANGES for name in names), "missing",
)  # fmt: skip
"""Those of `task list`."""
BATCH_FILTERS = ("project", "status", "since", "until", "missing")
"""Those of `batch list`."""
SHOWN = ("view", "limit", "older", "newer", "frame", "from")
"""What an address says beside filters: how a page is shown, and from where."""

_WEB = re.compile(r"https?://[^\s/?#]", re.IGNORECASE)
_MOST_ROWS = 200


def filters_in(request: PageRequest, names: Iterable[str]) -> dict[str, str | list[str]]:
    """Return the filters of an address as texts, in the order of `names`; empty ones are left out.

    Raises ConfigurationError for any other name in the address, and for a filter that is there twice.
    """
    names = tuple(names)
    given = [(name.replace("-", "_"), value) for name, value in request.query]
    for name, _ in given:
        if name not in (*names, *SHOWN):
            msg = f"There is no filter {name!r} here."
            raise ConfigurationError(msg, advice=f"Use {', '.join(names)}.")
    found: dict[str, str | list[str]] = {}
    for name in names:
        values = [value for key, value in given if key == name and value]
        if len(values) > 1 and name not in SEVERAL:
            raise ConfigurationError(f"{name} is in the address {len(values)} times.", advice="Leave one.")
        if values:
            found[name] = values if name in SEVERAL else values[0]
    return found


def selection_from(filters: Mapping[str, str | list[str]], now: datetime) -> Selection:
    """Return the selection of an address's filters. Raises ConfigurationError for a wrong value."""
    given: dict[str, object] = dict(filters)
    if (missing := given.pop("missing", None)) is not None:
        given["missing"] = _flag("missing", str(missing))
    return selection_of(given, now)


def _flag(name: str, text: str) -> bool:
    if text not in ("0", "1", "on", "true", "false"):
        raise ConfigurationError(f"{name} is neither 1 nor 0.", advice="Correct the address.")
    return text in ("1", "on", "true")


def page_size(request: PageRequest, default: int) -> int:
    """Return how many rows a page shows, at least 1."""
    return max(1, request.number("limit", default, _MOST_ROWS))


def start_of(request: PageRequest) -> tuple[tuple[datetime | None, str] | None, bool]:
    """Return the place at which a page begins, and whether it shows what is newer than that.

    Raises ConfigurationError for a place that is none.
    """
    older, newer = request.one("older"), request.one("newer")
    text = newer or older
    if not text:
        return None, False
    at, mark, key = text.partition("~")
    try:
        place = (parse_instant(at) if at else None, key)
    except (ValueError, OverflowError):
        mark = ""
    if not mark or not key or re.search("[\0\ud800-\udfff]", key):
        raise ConfigurationError(
            "The address names no place in the list.", advice="Go back to its beginning."
        )
    return place, bool(newer)


def place_text(place: tuple[datetime | None, str]) -> str:
    """Return a place for an address."""
    at, key = place
    return f"{'' if at is None else format_instant(at)}~{key}"


def segment(name: str) -> str:
    """Return a name as one part of a path; what looks like a suffix in it is not one."""
    return quote(name, safe="").replace(".", "%2E")


def address(path: str, query: Query | Mapping[str, str | list[str]] = (), **more: object) -> str:
    """Return an address: a path, the filters, and `more` without what is None or empty."""
    pairs = [*(query.items() if isinstance(query, Mapping) else query)]
    pairs += [(name, str(value)) for name, value in more.items() if value not in (None, "")]
    return f"{path}?{urlencode(pairs, doseq=True)}" if pairs else path


def web_link(text: object) -> str | None:
    """Return a text if it is the address of a web page or a file on the web, None for any other."""
    # Browsers ignore tabs and line breaks in a scheme, so that only what begins right is a link.
    return text if isinstance(text, str) and _WEB.match(text) else None


def described(selection: Selection) -> dict[str, object]:
    """Return the filters of a selection that are set."""
    return {name: value for name, value in asdict(selection).items() if value not in (None, False)}
