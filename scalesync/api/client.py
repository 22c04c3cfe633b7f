"""The API client: every operation of the Scale API that scalesync uses.

Hazard: reads are retried, writes never are. A write that got no answer may have been applied.
"""

import copy
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import inf
from types import TracebackType
from typing import Any, Self, TypeVar

from scalesync.api import responses
from scalesync.api.options import ApiOptions
from scalesync.api.rate_limiter import RateLimiter
from scalesync.api.request import ApiRequest, build, log_exchange, offset_of, query_of
from scalesync.api.transport import Response, Transport
from scalesync.clock import Clock
from scalesync.errors import ScaleException, ScaleNoAnswer, ScaleNotSent
from scalesync.models.api import BatchFilter, BatchStatus, Document, Page, TaskFilter
from scalesync.models.request_rate import SharedRate
from scalesync.retry import retry_delay

log = logging.getLogger("scalesync.api")

FIRST_SECONDS = 20.0
"""For the first attempt of a read, at least, even if the patience is shorter."""
RETRY_SECONDS = 1.0
"""For every other attempt, at least, even if less of the patience is left."""

_T = TypeVar("_T")
_Parse = Callable[[ApiRequest, Response], _T]


class ScaleApi:
    """A thread-safe client of the Scale API.

    Reads are retried by `options.retry` and raise the last attempt's error. Writes are sent exactly once and
    raise ScaleNotSent (nothing reached the API), ScaleNoAnswer (the effect is unknown; also for a 2xx with a
    malformed body), or another ScaleException (the API answered with that `.code`).

    Waits end as soon as `clock.over` is true, and active requests `options.grace` later. No repr, log or
    message shows the key. Construction raises ConfigurationError for a malformed key, and warns of a URL that
    exposes it.
    """

    def __init__(
        self,
        key: str,
        options: ApiOptions | None = None,
        *,
        clock: Clock | None = None,
        random: Callable[[], float] = random.random,
        shared_rate: SharedRate | None = None,
    ) -> None:
        self.options = options or ApiOptions()
        self._clock = clock or Clock()
        self._random = random
        self._transport = Transport(key, self.options, self._clock)
        self._limiter = RateLimiter(
            self._clock, rate=self.options.rate, pause=self.options.retry.base, shared=shared_rate
        )
        self._write_before = inf
        if self.options.sends_key_in_clear:
            log.warning("The API key goes unencrypted to %s, for all on the way to read.", self.options.host)

    def __repr__(self) -> str:
        """Show the URL, but nothing of the key."""
        return f"ScaleApi({self.options.url!r})"

    def __enter__(self) -> Self:
        """Return this client; its connections close at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections of all threads; none may be in the middle of a request."""
        self._transport.close()

    def with_deadline(self, instant: float) -> Self:
        """Return a copy whose writes start before `clock.boottime()` is `instant`, or not at all.

        A write that would be late raises ScaleNotSent, or ScaleTooManyRequests if the API made it wait.
        Connections and rate limiter are shared.
        """
        client = copy.copy(self)
        client._write_before = instant  # noqa: SLF001 - a copy of this client
        return client

    def with_attempts(self, attempts: int) -> Self:
        """Return a copy that tries each read `attempts` times; connections and limiter are shared."""
        client = copy.copy(self)
        client.options = replace(self.options, retry=replace(self.options.retry, attempts=attempts))
        return client

    def wait_for_rate_limit(self, patience: float) -> None:
        """Wait until the rate limiter would let a request start at once.

        Raises ScaleTooManyRequests if a 429 makes that take longer than `patience` seconds, and ScaleNotSent
        if `options.rate` does, or if the process is stopping.
        """
        self._limiter.wait(patience)

    def reconnect(self) -> None:
        """Use a new connection for each request for a minute.

        Call it after an answer that belongs to another request.
        """
        self._transport.reconnect()

    @property
    def requests_made(self) -> int:
        """HTTP requests that left this machine so far, retries included."""
        return self._transport.requests_made

    # Reads ----------------------------------------------------------------------------------------------

    def task(self, task_id: str) -> Document:
        """Return one task. Raises ScaleResourceNotFound if there is none."""
        return self._read(build("GET", "task/{}", task_id), responses.named("task_id", task_id))

    def tasks(self, chosen: TaskFilter, *, limit: int = 100, next_token: str | None = None) -> Page:
        """Return a page of tasks, newest first; `next_token` is valid only with the same filter."""
        query = query_of(chosen, limit=limit, next_token=next_token)
        return self._read(build("GET", "tasks", query=query), responses.task_page)

    def batches(self, chosen: BatchFilter, *, limit: int = 100, next_token: str | None = None) -> Page:
        """Return a page of batches, newest first; rows can shift between pages if a batch is created."""
        # The API pages batches by offset (observed); our tokens hold that offset. If it ever gives a token of
        # its own, that one is used.
        offset = offset_of(next_token)
        more = {"next_token": next_token} if offset is None else {"offset": offset or None}
        request = build("GET", "batches", query=query_of(chosen, limit=limit, **more))
        return self._read(request, lambda request, answer: responses.batch_page(request, answer, next_token))

    def batch(self, name: str) -> Document:
        """Return one batch. Raises ScaleResourceNotFound if there is none."""
        return self._read(build("GET", "batches/{}", name), responses.named("name", name))

    def batch_status(self, name: str) -> BatchStatus:
        """Return a batch's status and the counts of its tasks."""
        return self._read(build("GET", "batches/{}/status", name), responses.batch_status)

    def project(self, name: str) -> Document:
        """Return one project with its parameter history. Raises ScaleResourceNotFound if there is none."""
        return self._read(build("GET", "projects/{}", name), responses.named("name", name))

    def projects(self, *, archived: bool | None = None) -> Page:
        """Return all projects in one page; `archived` None: not sent."""
        return self._read(build("GET", "projects", query=query_of(archived=archived)), responses.project_list)

    # Writes ---------------------------------------------------------------------------------------------

    def create_task(self, type: str, payload: Mapping[str, Any]) -> Document:  # noqa: A002 - Scale's word
        """Create a task and return it. Raises ScaleDuplicateResource if its unique_id is taken."""
        return self._write(build("POST", "task/{}", type, payload=dict(payload)), responses.document)

    def cancel_task(self, task_id: str, *, clear_unique_id: bool = False) -> Document:
        """Cancel a pending task and return it; `clear_unique_id` frees its unique_id."""
        query = query_of(clear_unique_id=clear_unique_id or None)
        return self._write(build("POST", "task/{}/cancel", task_id, query=query), responses.document)

    def change_task(
        self, task_id: str, part: str, payload: object = None, *, method: str = "POST"
    ) -> Document | None:
        """Change one part of a task; return the task, or None if the API answered with the bare text `OK`.

        `part` is the path behind the task: `audit`, `tags`, `setMetadata` or `unique_id`. Of tags, `method`
        POST replaces all, PUT adds and DELETE removes; DELETE clears a unique_id.
        """
        request = build(method, f"task/{{}}/{part}", task_id, payload=payload)
        return self._write(request, responses.document_or_ok)

    def create_batch(self, payload: Mapping[str, Any]) -> Document:
        """Create a batch and return it. Raises ScaleDuplicateResource if the name is taken."""
        return self._write(build("POST", "batches", payload=dict(payload)), responses.document)

    def finalize_batch(self, name: str) -> Document | None:
        """Finalize a batch and return it, or None if the API answered with the bare text `OK`."""
        return self._write(build("POST", "batches/{}/finalize", name), responses.document_or_ok)

    def set_batch_metadata(self, name: str, metadata: Mapping[str, Any]) -> Document | None:
        """Replace a batch's metadata; return the batch, or None if the API answered with the bare `OK`."""
        request = build("POST", "batches/{}/setMetadata", name, payload=dict(metadata))
        return self._write(request, responses.document_or_ok)

    def create_project(self, payload: Mapping[str, Any]) -> Document:
        """Create a project and return it. Raises ScaleDuplicateResource if the name is taken."""
        return self._write(build("POST", "projects", payload=dict(payload)), responses.document)

    def update_project(self, name: str, params: Mapping[str, Any], *, patch: bool | None = None) -> Document:
        """Append a version to a project's parameters and return the project; not idempotent.

        `patch` merges `params` into the latest version instead of replacing it; None: not sent.
        """
        payload = dict(params) if patch is None else {**params, "patch": patch}
        return self._write(build("POST", "projects/{}/setParams", name, payload=payload), responses.document)

    def create(self, route: str, *names: str, payload: object) -> Document:
        """Create an object that is not mirrored, such as a file; return it as the API describes it."""
        return self._write(build("POST", route, *names, payload=payload), responses.document)

    # Everything else ------------------------------------------------------------------------------------

    def call(self, method: str, route: str, *names: str, payload: object = None, query: str = "") -> Any:
        """Call an endpoint that is neither mirrored nor queued, such as teams; return the JSON value.

        Each `{}` of the route becomes the next of `names`. A GET is retried, anything else is sent once.
        """
        send = self._read if method == "GET" else self._write
        return send(build(method, route, *names, payload=payload, query=query), responses.any_json)

    # One request ----------------------------------------------------------------------------------------

    def _read(self, request: ApiRequest, parse: _Parse[_T]) -> _T:
        """Send a read and return its parsed answer, with retries within the policy's seconds."""
        policy = self.options.retry
        started = self._clock.monotonic()
        attempts = 0
        while True:
            attempts += 1
            turn = self._limiter.acquire(policy.seconds - (self._clock.monotonic() - started))
            # The attempt itself is cut off when the patience ends, but never so early that it cannot succeed.
            left = policy.seconds - (self._clock.monotonic() - started)
            seconds = max(left, FIRST_SECONDS if attempts == 1 else RETRY_SECONDS)
            try:
                return self._parse(
                    request, self._send(replace(request, seconds=seconds), attempts, turn), parse
                )
            except ScaleException as error:
                wait = retry_delay(
                    error,
                    attempts=attempts,
                    elapsed=self._clock.monotonic() - started,
                    chance=self._random(),
                    policy=policy,
                )
                if wait is None or self._clock.over:
                    responses.advise_url(request, error, self.options.url)
                    raise
                self._back_off(request, attempts, wait, error)
                if self._clock.over:
                    raise

    def _write(self, request: ApiRequest, parse: _Parse[_T]) -> _T:
        """Send a write once and return its parsed answer."""
        # The turn may take a while: check the deadline again after it.
        left = self._write_before - self._clock.boottime()
        turn = self._limiter.acquire(min(left, self.options.deadline))
        if self._clock.boottime() > self._write_before:
            raise ScaleNotSent("Its time was over before it could be sent.")
        return self._parse(request, self._send(request, 1, turn), parse)

    def _parse(self, request: ApiRequest, response: Response, parse: _Parse[_T]) -> _T:
        try:
            return parse(request, response)
        except ScaleNoAnswer:
            # Malformed, or the answer to another request: do not trust this connection any more.
            self.reconnect()
            raise

    def _send(self, request: ApiRequest, attempt: int, turn: float) -> Response:
        """Send once and return a 200, or raise the error of any other status; update the limiter."""
        response: Response | None = None
        try:
            response = self._transport.send(request)
        finally:
            log_exchange(
                request, attempt, self._clock.monotonic() - turn, response.status if response else None
            )
        error = responses.error_from(request, response)
        if error is None:
            self._limiter.on_success()
            return response
        if error.about_another:
            self.reconnect()
        if error.code == 429:
            self._limiter.on_throttled(turn, error.retry_after)
        raise error

    def _back_off(self, request: ApiRequest, attempts: int, seconds: float, error: ScaleException) -> None:
        """Log the retry and wait; a stop ends the wait."""
        fields = {
            "method": request.method,
            "route": request.route,
            "reason": "no connection" if isinstance(error, ScaleNotSent) else "no usable answer",
            "status": error.code,
            "attempt": attempts,
            "seconds": round(seconds, 3),
        }
        log.info("retrying", extra=fields)
        self._clock.sleep(seconds)
