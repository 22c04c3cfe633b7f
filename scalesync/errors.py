"""Every error that scalesync raises on purpose, named by what the caller should do.

::

    ScalesyncError                           a sentence, an exit code, advice on what to do
    ├── ConfigurationError                2  correct the command, the environment or the key file
    ├── ScaleException                    4  the API refused, or gave no usable answer (.code, .message)
    │   ├── ScaleInvalidRequest              400
    │   ├── ScaleUnauthorized             3  401
    │   ├── ScaleNotEnabled                  402
    │   ├── ScaleForbidden                3  403
    │   ├── ScaleResourceNotFound            404
    │   ├── ScaleDuplicateResource           409
    │   ├── ScaleTooManyRequests             429
    │   ├── ScaleInternalError               500
    │   ├── ScaleServiceUnavailable          503
    │   ├── ScaleTimeoutError                504
    │   ├── ScaleNotSent                     nothing reached the API: safe to send again
    │   │   └── ScaleTurnTooLate             the --rate limit gave it no turn in time
    │   └── ScaleNoAnswer                    sent, and no usable answer came: the effect is unknown
    │       └── UnreadablePageError          a complete page is malformed
    ├── AccessDeniedError                 3  the API refuses the key or the account: nothing is sent
    ├── IncompleteError                   1  run again: the result may be incomplete
    │   └── InconsistentPageError            a page contradicts itself; its window cannot close
    │       └── UnreadablePageError          (as above; it has two base classes)
    ├── DatabaseError                     5  check the database or its schema
    │   ├── DatabaseUnavailableError         wait, and start again from what is committed
    │   └── LeaseLostError                   another process took the window over; drop the page
    ├── AlreadyRunningError               6  nothing to do: another run holds all of it
    ├── QueueError                        2  the queue refuses a command or a change
    │   ├── ConflictError                    the same name is queued, or mirrored, with other content
    │   ├── BatchSealedError                 the batch is being finalized and accepts no more commands
    │   └── SubmissionError                  some of many are invalid, so none was queued (.problems)
    ├── AttentionRequiredError            7  the queue holds commands that are dead, in doubt or held
    └── InterruptedRunError             130  stopped on request; state is saved
"""

import warnings
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

LOOK_CLOSER = "Run `scalesync check`."
"""The default advice."""


def how_to_install(extra: str) -> str:
    """Return the advice to install the packages of an extra in pyproject.toml."""
    return f"Run `pip install '.[{extra}]'` in the checkout of scalesync."


class ScalesyncError(Exception):
    """Base class of all errors that a person can understand and act upon."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice


class ConfigurationError(ScalesyncError):
    """The command line, the environment or a file named there is invalid."""

    exit_code = 2


class ScaleException(ScalesyncError):
    """The API refused a request or gave no usable answer.

    `.code` is the HTTP status, None without an answer; `.message` is the API's text.
    """

    exit_code = 4
    code: int | None = None
    about_another: bool = False
    """Whether the message names other objects than the request: it may answer another request."""

    def __init__(
        self, message: str, code: int | None = None, *, advice: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(message or "The API gave no reason.", advice=advice)
        if code is not None:
            self.code = code
        self.retry_after = retry_after
        """Seconds that the API asked to wait, None if it did not."""

    def __str__(self) -> str:
        """Return the HTTP status and the message."""
        return f"{self.code}: {self.message}" if self.code else self.message


class ScaleInvalidRequest(ScaleException, ValueError):
    """400: a parameter is missing or wrong, or the object is not in a state for this."""

    code = 400


class ScaleUnauthorized(ScaleException):
    """401: the key is not valid."""

    exit_code = 3
    code = 401


class ScaleNotEnabled(ScaleException):
    """402: the account may not create this type of task."""

    code = 402


class ScaleForbidden(ScaleException):
    """403: the key is valid, but may not do this."""

    exit_code = 3
    code = 403


class ScaleResourceNotFound(ScaleException):
    """404: there is no such object."""

    code = 404


class ScaleDuplicateResource(ScaleException):
    """409: the name or unique_id is taken."""

    code = 409


class ScaleTooManyRequests(ScaleException):
    """429: slow down."""

    code = 429


class ScaleInternalError(ScaleException):
    """500: the API failed."""

    code = 500


class ScaleServiceUnavailable(ScaleException):
    """503: the API is overloaded or down."""

    code = 503


class ScaleTimeoutError(ScaleException):
    """504: the API timed out behind its own gateway."""

    code = 504


class ScaleNotSent(ScaleException):
    """No connection could be made, so the API cannot have seen the request."""


class ScaleTurnTooLate(ScaleNotSent):
    """The `rate` option gave the request no turn in time; nothing was sent."""


class ScaleNoAnswer(ScaleException):
    """The request may have been applied; its answer is missing, cut short or malformed."""


class AccessDeniedError(ScalesyncError):
    """The API refuses the key or the account; nothing is sent until a person resumes the queue."""

    exit_code = 3


class IncompleteError(ScalesyncError):
    """The work ended, and its result may be incomplete."""

    exit_code = 1


class InconsistentPageError(IncompleteError):
    """A page contradicts itself or its window: the window must not close on it."""


class UnreadablePageError(ScaleNoAnswer, InconsistentPageError):
    """A complete page is not the promised JSON; other pages may be fine."""


class OutsideWindowError(InconsistentPageError):
    """A page has a row outside its window: the answer to another request, or the API's filter is wrong."""


class DatabaseError(ScalesyncError):
    """The database is missing, unreachable, full, locked, foreign or of another version."""

    exit_code = 5


class DatabaseUnavailableError(DatabaseError):
    """The database is unreachable or locked; a later try may work.

    Whether the failed transaction was committed is unknown.
    """


class LeaseLostError(DatabaseError):
    """Another process owns the window now; nothing of this page was written."""


class AlreadyRunningError(ScalesyncError):
    """Another process is doing all of the work."""

    exit_code = 6


class QueueError(ScalesyncError):
    """The queue refuses a command or a change; nothing was changed."""

    exit_code = 2


class ConflictError(QueueError):
    """A command or a mirrored object has the same name, but other content."""


class BatchSealedError(QueueError):
    """The batch's finalize is queued or sent, so nothing can be added to it."""


_CORRECT = "Correct what is named above, and run it again."


class SubmissionProblem(NamedTuple):
    """Why one of many tasks is invalid."""

    number: int
    """Its line or position, from 1."""
    reason: str


class SubmissionError(QueueError):
    """Some tasks of a submission are invalid, so none was queued."""

    def __init__(self, problems: Sequence[SubmissionProblem], count: int) -> None:
        one = "One" if len(problems) == 1 else f"{len(problems):,}"
        super().__init__(f"{one} of {count:,} cannot be queued, so nothing was.", advice=_CORRECT)
        self.problems = tuple(problems)
        """All problems, by number."""


class AttentionRequiredError(ScalesyncError):
    """The queue holds commands that only a person can settle."""

    exit_code = 7


class InterruptedRunError(ScalesyncError):
    """Stopped on request; everything received so far is saved."""

    exit_code = 130


BY_STATUS: dict[int, type[ScaleException]] = {
    error.code: error
    for error in (
        ScaleInvalidRequest,
        ScaleUnauthorized,
        ScaleNotEnabled,
        ScaleForbidden,
        ScaleResourceNotFound,
        ScaleDuplicateResource,
        ScaleTooManyRequests,
        ScaleInternalError,
        ScaleServiceUnavailable,
        ScaleTimeoutError,
    )
    if error.code is not None
}
"""The error of an HTTP status; other statuses are plain ScaleException."""

# Old names stay importable, so that `except` clauses of callers keep working.
_RENAMED = {
    "ApiClosedError": AccessDeniedError,
    "ClaimLostError": LeaseLostError,
    "DatabaseAwayError": DatabaseUnavailableError,
    "HeldElsewhereError": AlreadyRunningError,
    "NeedsPersonError": AttentionRequiredError,
    "PageError": InconsistentPageError,
    "Problem": SubmissionProblem,
    "SealedError": BatchSealedError,
}


def __getattr__(name: str) -> type:
    """Return a renamed class by its old name, with a DeprecationWarning."""
    if name not in _RENAMED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    renamed = _RENAMED[name]
    warnings.warn(f"{name} is called {renamed.__name__} now.", DeprecationWarning, stacklevel=2)
    return renamed
