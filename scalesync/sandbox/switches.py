"""Switch the sandbox between the possible behaviors of the API where the real one is not known.

Defaults are the likeliest behavior. None was checked against the live API, so that the mirror must be
right with every one of them.
"""

from dataclasses import dataclass
from typing import Literal, get_args, get_type_hints

LONGEST = 30 * 365 * 86_400.0
"""The most seconds in a switch, thirty years: calendars reach that far from any date in use."""

MOST_REQUESTS = 100_000
"""A second, in a switch; no sandbox answers as many."""


@dataclass(frozen=True)
class Switches:
    """One behavior of the API for each open question about it."""

    bounds: Literal["inclusive", "exclusive", "half_open"] = "inclusive"
    """Whether `start_time`, `end_time`, `updated_after` ... include their own time; half_open: lower do."""

    ties: Literal["by_id", "shuffled", "skipped"] = "by_id"
    """Tasks created in the same millisecond: by_id: newest id first; shuffled: in another order at every
    request, while the token still compares the id, so that some are never given; skipped: the token compares
    `created_at` only, so that the rest of a tie is lost where a page ends inside it."""

    tokens: Literal["keyset", "offset"] = "keyset"
    """What a token remembers: keyset: the last task given (recorded); offset: how many were given, which
    shifts when tasks come or go."""

    token_lifetime: float | None = None
    """Seconds after which a token is refused with 400; None: never."""

    token_bound_to_filters: bool = False
    """Whether a token is refused with 400 when the filters differ from those it was made under."""

    project_required: bool = False
    """Whether `GET /tasks` without a project or a batch is refused with 400."""

    cancel_twice: Literal["refused", "accepted"] = "refused"
    """What a second cancel of a task gets: 400, or 200 and no effect."""

    total: Literal["exact", "capped", "over"] = "exact"
    """Whether `total` counts every match, stops at `total_cap`, or exceeds it."""

    total_cap: int = 1000
    """Where a capped `total` stops."""

    error_status_filter: Literal["accepted", "refused"] = "accepted"
    """Whether `GET /tasks?status=error` filters or is refused with 400."""

    updated_at_moves_on: Literal["all", "content"] = "all"
    """Which writes move `updated_at`: all; content: those to status, response and audits, so not to
    metadata, tags and unique_id."""

    hide_without_updated_at: bool = True
    """Whether a filter on `updated_at` leaves out the tasks of 2019, which have none."""

    completes_at_once: Literal["test", "always", "never"] = "test"
    """Which mode answers a create with a completed task and canned output: test (recorded), both, or none."""

    presigned_urls: Literal["requested", "always"] = "requested"
    """When tasks with an attachment carry `attachmentS3Downloads`, different at every read: with
    `include_attachment_url` only, or always; then links to result files have a signature of that read too."""

    batches_next_token: bool = False
    """Whether `GET /batches` also gives a `next_token` and follows it."""

    batches_reopen: bool = False
    """Whether a completed batch goes back to in_progress when a task of it is recalled or added."""

    archived_projects: Literal["listed", "hidden"] = "listed"
    """What `GET /projects` does with archived projects when `archived` is not sent."""

    retry_after: Literal["seconds", "date", "none"] = "seconds"
    """The form of the Retry-After header of a 429."""

    rate_limit: float | None = None
    """Requests that the API answers in any second; the others get 429. None: any number."""

    clock_skew: float = 0.0
    """Seconds by which the API's clock is ahead of this machine's."""

    def __post_init__(self) -> None:
        """Raise ValueError for a value that a switch does not have."""
        for name, choices in choices_of().items():
            if choices and getattr(self, name) not in choices:
                raise ValueError(f"switch {name} is one of {', '.join(choices)}")
        if self.token_lifetime is not None and not 0 < self.token_lifetime <= LONGEST:
            raise ValueError("switch token_lifetime is a number of seconds above 0, or none")
        if self.rate_limit is not None and not 1 <= self.rate_limit <= MOST_REQUESTS:
            raise ValueError(f"switch rate_limit is a number from 1 to {MOST_REQUESTS:,}, or none")
        if self.total_cap < 0:
            raise ValueError("switch total_cap is not negative")
        if not -LONGEST <= self.clock_skew <= LONGEST:
            raise ValueError("switch clock_skew is a number of seconds, of thirty years at the most")


def choices_of() -> dict[str, tuple[str, ...]]:
    """Return every switch with its choices; none for one that takes a number, or yes or no."""
    return {
        name: tuple(choice for choice in get_args(hint) if isinstance(choice, str))
        for name, hint in get_type_hints(Switches).items()
    }


def parse_switch(text: str) -> tuple[str, object]:
    """Return name and value of a switch written as `name=value`; raises ValueError for anything else.

    `yes`, `no`, `true`, `false` and numbers are parsed; `none` lifts a limit. For `Switches(**dict(...))`.
    """
    name, _, value = text.partition("=")
    choices = choices_of()
    if name not in choices or not value:
        raise ValueError(f'"{text}" is not name=value with one of: {", ".join(choices)}')
    if choices[name]:
        return name, value
    return name, _number_or_flag(name, value)


def _number_or_flag(name: str, value: str) -> object:
    default = getattr(Switches(), name)
    if isinstance(default, bool):
        if value not in {"yes", "no", "true", "false"}:
            raise ValueError(f"switch {name} is yes or no")
        return value in {"yes", "true"}
    if value == "none" and default is None:
        return None
    try:
        return int(value) if isinstance(default, int) else float(value)
    except ValueError as error:
        raise ValueError(f"switch {name} is a number{' or none' if default is None else ''}") from error
