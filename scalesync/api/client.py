"""Every operation of the Scale API that scalesync uses, in one class."""

import copy
import logging
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import inf
from types import TracebackType
from typing import Any, Self, TypeVar

from scalesync.api import responses
from scalesync.api.options import ApiOptions
from scalesync.api.rate_limiter import RateLimiter
from scalesync.api.request import ApiRequest, build, offset_of, query_of
from scalesync.api.transport import Response, Transport
from scalesync.clock import Clock
from scalesync.errors import ScaleException, ScaleNoAnswer, ScaleNotSent, UnreadablePageError
from scalesync.models.api import BatchFilter, BatchStatus, Document, Page, TaskFilter
from scalesync.retry import retry_delay

log = logging.getLogger("scalesync.api")

VERSIONED = re.compile(r"/v\d+$")
NO_LIST = (301, 302, 303, 307, 308, 404, 405)
"""What is answered to a list where there is no API."""
FIRST_ATTEMPT = 20.0
"""Seconds that a read may take at its first attempt, however little patience there is."""
LAST_ATTEMPT = 1.0
"""Seconds that it may take at any other one, however little of the patience is left."""

_T = TypeVar("_T")
_Parse = Callable[[ApiRequest, Response], _T]


class ScaleApi:
    """The Scale API, for any number of threads at once.

    Reads are retried as `options.retry` says; what they raise is the last attempt's error. Writes are sent
    exactly once and tell three failures apart: ScaleNotSent (nothing reached the API), ScaleNoAnswer (it may
    have; the effect is unknown), and any other ScaleException (the API answered with that `.code`).
    A 2xx whose body is not the promised document is ScaleNoAnswer too.

    Waiting for the rate limit and between attempts ends as soon as `clock.over` is true, and requests in hand
    `options.grace` later. The key goes into
    the Authorization header and nowhere else: no repr, log or message of ours shows it. Construction raises
    ConfigurationError for a key that cannot be one, and warns of an address that exposes it.
    """

    def __init__(
        self,
        key: str,
        options: ApiOptions | None = None,
        *,
        clock: Clock | None = None,
        random: Callable[[], float] = random.random,
    ) -> None:
        self.options = options or ApiOptions()
        self._clock = clock or Clock()
        self._random = random
        self._transport = Transport(key, self.options, self._clock)
        self._limiter = RateLimiter(self._clock, rate=self.options.rate, rest=self.options.retry.base)
        self._write_before = inf
        if self.options.sends_key_in_clear:
            log.warning("The API key goes unencrypted to %s, for all on the way to read.", self.options.host)

    def __repr__(self) -> str:
        """Return the address, and nothing of the key."""
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
        """Close the connections of all threads. None of them may be in the middle of a request."""
        self._transport.close()

    def with_deadline(self, instant: float) -> Self:
        """Return this client, with writes that begin before `clock.boottime()` is `instant` or not at all.

        What comes too late, or would have to wait for longer for its turn, raises ScaleNotSent or, where the
        API made it wait, ScaleTooManyRequests. The connections and the pace are shared.
        """
        hurried = copy.copy(self)
        hurried._write_before = instant  # noqa: SLF001 - it is one of us
        return hurried

    def with_attempts(self, attempts: int) -> Self:
        """Return this client, with each read sent that often at most. Connections and pace are shared."""
        brief = copy.copy(self)
        brief.options = replace(self.options, retry=replace(self.options.retry, attempts=attempts))
        return brief

    def wait_for_rate_limit(self, patience: float) -> None:
        """Return when a request could leave at once, as far as the rate limit goes.

        Raises ScaleTooManyRequests if the API made that take longer than `patience` seconds, and ScaleNotSent
        if `options.rate` did or the process is asked to stop meanwhile.
        """
        self._limiter.wait(patience)

    def reconnect(self) -> None:
        """Use a new connection for each request for a while: one gave an answer to something else.

        Whoever finds that out from an answer calls this.
        """
        self._transport.reconnect()

    @property
    def requests_made(self) -> int:
        """How many HTTP requests left this machine so far, retries included."""
        return self._transport.requests_made

    # Reads ----------------------------------------------------------------------------------------------

    def task(self, task_id: str) -> Document:
        """Return one task. Raises ScaleResourceNotFound if there is none."""
        return self._read(build("GET", "task/{}", task_id), responses.named("task_id", task_id))

    def tasks(self, chosen: TaskFilter, *, limit: int = 100, next_token: str | None = None) -> Page:
        """Return a page of the tasks that match, newest first. A token is good under the same filter only."""
        query = query_of(chosen, limit=limit, next_token=next_token)
        return self._read(build("GET", "tasks", query=query), responses.task_page)

    def batches(self, chosen: BatchFilter, *, limit: int = 100, next_token: str | None = None) -> Page:
        """Return a page of the batches that match, newest first; tokens are as opaque as those of tasks.

        The API pages batches by offset (recorded), so rows can shift between two pages when a batch is made
        meanwhile. A token that it should give instead is followed.
        """
        offset = offset_of(next_token)
        more = {"next_token": next_token} if offset is None else {"offset": offset or None}
        request = build("GET", "batches", query=query_of(chosen, limit=limit, **more))
        return self._read(request, lambda asked, answer: responses.batch_page(asked, answer, next_token))

    def batch(self, name: str) -> Document:
        """Return one batch."""
        return self._read(build("GET", "batches/{}", name), responses.named("name", name))

    def batch_status(self, name: str) -> BatchStatus:
        """Return a batch's status and the counts of its tasks."""
        return self._read(build("GET", "batches/{}/status", name), responses.batch_status)

    def project(self, name: str) -> Document:
        """Return one project with the history of its parameters."""
        return self._read(build("GET", "projects/{}", name), responses.named("name", name))

    def projects(self, *, archived: bool | None = None) -> Page:
        """Return every project in one page; `archived` as the API understands it, None: not sent."""
        return self._read(build("GET", "projects", query=query_of(archived=archived)), responses.project_list)

    # Writes ---------------------------------------------------------------------------------------------

    def create_task(self, type: str, payload: Mapping[str, Any]) -> Document:  # noqa: A002 - Scale's word
        """Create a task and return it. Raises ScaleDuplicateResource if its unique_id is taken."""
        return self._write(build("POST", "task/{}", type, payload=dict(payload)), responses.document)

    def cancel_task(self, task_id: str, *, clear_unique_id: bool = False) -> Document:
        """Cancel a task that was not begun and return it; `clear_unique_id` frees its unique_id."""
        query = query_of(clear_unique_id=clear_unique_id or None)
        return self._write(build("POST", "task/{}/cancel", task_id, query=query), responses.document)

    def create_batch(self, payload: Mapping[str, Any]) -> Document:
        """Create a batch and return it. Raises ScaleDuplicateResource if the name is taken."""
        return self._write(build("POST", "batches", payload=dict(payload)), responses.document)

    def finalize_batch(self, name: str) -> Document | None:
        """Finalize a batch and return it, or None if the API answered with the bare text `OK`."""
        return self._write(build("POST", "batches/{}/finalize", name), responses.document_or_ok)

    def create_project(self, payload: Mapping[str, Any]) -> Document:
        """Create a project and return it. Raises ScaleDuplicateResource if the name is taken."""
        return self._write(build("POST", "projects", payload=dict(payload)), responses.document)

    def update_project(self, name: str, params: Mapping[str, Any], *, patch: bool | None = None) -> Document:
        """Append a version to a project's parameters and return the project. Twice appends two.

        `patch` merges `params` over the latest version instead of replacing it; None: not sent.
        """
        payload = dict(params) if patch is None else {**params, "patch": patch}
        return self._write(build("POST", "projects/{}/setParams", name, payload=payload), responses.document)

    # One request ----------------------------------------------------------------------------------------

    def _read(self, request: ApiRequest, parse: _Parse[_T]) -> _T:
        """Return the parsed answer, trying again while the policy allows it and there is time.

        Cut off or not, the last attempt ends with the policy's seconds, or soon after them.
        """
        policy = self.options.retry
        started = self._clock.monotonic()
        attempts = 0
        while True:
            attempts += 1
            turn = self._limiter.acquire(policy.seconds - (self._clock.monotonic() - started))
            left = policy.seconds - (self._clock.monotonic() - started)
            seconds = max(left, FIRST_ATTEMPT if attempts == 1 else LAST_ATTEMPT)
            try:
                return self._parsed(
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
                    self._advise(request, error)
                    raise
                self._pause(request, attempts, wait, error)
                if self._clock.over:
                    raise

    def _advise(self, request: ApiRequest, error: ScaleException) -> None:
        """Ask whether the address is right where it has no list that every API has."""
        no_list = error.code in NO_LIST or isinstance(error, UnreadablePageError)
        if no_list and "{}" not in request.route and not VERSIONED.search(self.options.url):
            error.advice = error.advice or f"Should the API's address end in /v1? It is {self.options.url}."

    def _write(self, request: ApiRequest, parse: _Parse[_T]) -> _T:
        """Return the parsed answer to a request that is sent once."""
        left = self._write_before - self._clock.boottime()
        turn = self._limiter.acquire(min(left, self.options.deadline))
        if self._clock.boottime() > self._write_before:
            raise ScaleNotSent("Its time was over before it could be sent.")
        return self._parsed(request, self._send(request, 1, turn), parse)

    def _parsed(self, request: ApiRequest, response: Response, parse: _Parse[_T]) -> _T:
        try:
            return parse(request, response)
        except ScaleNoAnswer:
            self.reconnect()
            raise

    def _send(self, request: ApiRequest, attempt: int, turn: float) -> Response:
        """Send once and return a 200; raise what any other answer stands for. Tells the limiter."""
        response: Response | None = None
        try:
            response = self._transport.send(request)
        finally:
            self._note(request, attempt, turn, response)
        error = responses.error_from(request, response)
        if error is None:
            self._limiter.on_success()
            return response
        if error.about_another:
            self.reconnect()
        if error.code == 429:
            self._limiter.on_throttled(turn, error.retry_after)
        raise error

    def _note(self, request: ApiRequest, attempt: int, turn: float, response: Response | None) -> None:
        """Log one exchange: no key, no names, no query, no body."""
        fields = {
            "method": request.method,
            "route": request.route,
            "status": response.status if response else None,
            "milliseconds": round((self._clock.monotonic() - turn) * 1000),
            "attempt": attempt,
        }
        log.debug("request", extra=fields)

    def _pause(self, request: ApiRequest, attempts: int, seconds: float, error: ScaleException) -> None:
        """Log why and wait, unless asked to stop."""
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
