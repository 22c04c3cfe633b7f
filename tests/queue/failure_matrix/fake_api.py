"""Serve the API without HTTP: the real client on a transport that calls the sandbox, or fails as told."""

import json
from collections import deque
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, cast
from urllib.parse import parse_qs, unquote

from scalesync.api.client import ScaleApi
from scalesync.api.file_form import FileForm
from scalesync.api.options import ApiOptions
from scalesync.api.request import ApiRequest
from scalesync.api.transport import Response, Transport
from scalesync.errors import ScaleNoAnswer, ScaleNotSent
from scalesync.retry import RetryPolicy
from scalesync.sandbox import task_writes
from scalesync.sandbox.account import SandboxAccount
from scalesync.sandbox.backend import Backend
from scalesync.sandbox.batches import create_batch, finalize_batch, set_batch_metadata
from scalesync.sandbox.errors import HttpError
from scalesync.sandbox.json_codec import Doc, encode
from scalesync.sandbox.options import SandboxOptions
from scalesync.sandbox.pagination import is_yes, render_task
from scalesync.sandbox.projects import create_project, set_params
from scalesync.sandbox.switches import Switches
from scalesync.sandbox.tasks import TaskRecord
from scalesync.sandbox.team import create_quality_task, import_file, upload_file
from tests.queue.failure_matrix.virtual_time import Timeline, VirtualClock

KEY = "live_0123456789abcdef"
LAG = 20.0
"""Seconds for which a lagging read shows what was before the last write."""
SOON, LATE = 5.0, 100.0
"""Seconds after which a write is applied late: at once, and shortly before the settle time is over."""


class WriteOutcome(StrEnum):
    """What becomes of one write."""

    ANSWERED = "answered"
    DROPPED = "applied, then no answer"
    APPLIED_500 = "applied, then 500"
    BROKEN = "applied, then half a body"
    ECHO = "sent on twice by a proxy, which gives the second answer; creates only"
    LATER = "504, applied soon"
    MUCH_LATER = "504, applied late"
    LOST = "no answer, not applied"
    REFUSED_500 = "500, not applied"
    REFUSED_503 = "503, not applied"
    HTML = "200 with a page of HTML, not applied"
    SLOW_DOWN = "429"
    BAD_REQUEST = "400"
    BAD_KEY = "401"
    NOT_ENABLED = "402"
    FORBIDDEN = "403"
    NOT_SENT = "not sent"
    MIXED_UP = "200 with the answer to another's request, not applied"
    SWAPPED = "applied, then 200 with the answer to another's request"
    MIXED_UP_400 = "400 about another object, not applied"
    SWAPPED_400 = "applied, then 400 about another object"
    NAMELESS_400 = "applied, then another's 400 that names nothing"


class ReadOutcome(StrEnum):
    """What becomes of one read."""

    ANSWERED = "answered"
    LAGGING = "as it was before the last write"
    FAILS = "500"
    DROPPED = "no answer"
    BROKEN = "half a body"
    SLOW_DOWN = "429"
    BAD_KEY = "401"
    NOT_SENT = "not sent"
    MIXED_UP = "200 with another object"


APPLYING = frozenset(
    {
        WriteOutcome.ANSWERED,
        WriteOutcome.DROPPED,
        WriteOutcome.APPLIED_500,
        WriteOutcome.BROKEN,
        WriteOutcome.ECHO,
        WriteOutcome.SWAPPED,
        WriteOutcome.SWAPPED_400,
        WriteOutcome.NAMELESS_400,
    }
)
DELAYED = {WriteOutcome.LATER: SOON, WriteOutcome.MUCH_LATER: LATE}
_STATUSES: Mapping[StrEnum, int] = {
    WriteOutcome.APPLIED_500: 500,
    WriteOutcome.LATER: 504,
    WriteOutcome.MUCH_LATER: 504,
    WriteOutcome.REFUSED_500: 500,
    WriteOutcome.REFUSED_503: 503,
    WriteOutcome.SLOW_DOWN: 429,
    WriteOutcome.BAD_REQUEST: 400,
    WriteOutcome.BAD_KEY: 401,
    WriteOutcome.NOT_ENABLED: 402,
    WriteOutcome.FORBIDDEN: 403,
    WriteOutcome.MIXED_UP_400: 400,
    WriteOutcome.SWAPPED_400: 400,
    WriteOutcome.NAMELESS_400: 400,
    ReadOutcome.FAILS: 500,
    ReadOutcome.SLOW_DOWN: 429,
    ReadOutcome.BAD_KEY: 401,
}
_ABOUT_ANOTHER = (WriteOutcome.MIXED_UP_400, WriteOutcome.SWAPPED_400)
_CREATES = frozenset({"task/{}", "batches", "projects", "files/import", "files/upload"})
"""What is answered 409 the second time; a proxy that repeats anything else is not told from a refusal."""
_OTHERS = {"task_id": "f" * 24, "unique_id": "another's", "name": "another's", "reference_id": "another's"}
"""What the answer to another's request has in place of our names; everything else in it is as ours."""
_Result = tuple[int, bytes]
_Operation = Callable[[SandboxAccount, list[str], Doc], object]


class FakeApi:
    """A Scale API on a timeline: its world, and what is to go wrong with the next requests."""

    def __init__(self, timeline: Timeline, switches: Switches | None = None) -> None:
        self.timeline = timeline
        self.backend = Backend(SandboxOptions(switches=switches or Switches()), timeline.now)
        self.write_outcomes: deque[WriteOutcome] = deque()
        self.read_outcomes: deque[ReadOutcome] = deque()
        """What becomes of the next requests; when it is used up, they are answered."""
        self.retry_after: float | None = 2.0
        """What a 429 asks for."""
        self.before: SandboxAccount | None = None
        """The account as it was before the last write."""
        self.written_at = float("-inf")
        self.log: list[str] = []
        """What arrived and what became of it, for a failed test's message."""

    def serve(self, request: ApiRequest) -> Response:
        """Answer a request as it was scripted. Raises what the client would for a connection that fails."""
        fate: WriteOutcome | ReadOutcome
        if request.method == "GET":
            fate = self.read_outcomes.popleft() if self.read_outcomes else ReadOutcome.ANSWERED
            lagging = fate is ReadOutcome.LAGGING and self.timeline.moved < self.written_at + LAG
            result = self._perform(request, self.before if lagging else None)
        else:
            fate = self.write_outcomes.popleft() if self.write_outcomes else WriteOutcome.ANSWERED
            result = self._write(request, fate)
        self.log.append(f"{self.timeline.moved:.1f} s: {request}: {fate} -> {result[0]}")
        return self._answer(request, fate, result)

    def _write(self, request: ApiRequest, fate: WriteOutcome) -> _Result:
        if fate in APPLYING:
            result = self._apply(request)
            return self._apply(request) if fate is WriteOutcome.ECHO and request.route in _CREATES else result
        if fate is WriteOutcome.MIXED_UP:
            return self._perform(request, _copied(self.backend.live))
        if fate in DELAYED:
            self.timeline.later(DELAYED[fate], lambda: self._apply(request))
        return 0, b""

    def _apply(self, request: ApiRequest) -> _Result:
        self.before = _copied(self.backend.live)
        self.written_at = self.timeline.moved
        result = self._perform(request, None)
        if request.method == "POST":
            self.log.append(f"{self.timeline.moved:.1f} s: {request}: arrives -> {result[0]}")
        return result

    def _perform(self, request: ApiRequest, account: SandboxAccount | None) -> _Result:
        operation = _OPERATIONS[request.method, request.route]
        names = [
            unquote(part)
            for part, place in zip(request.path.split("/"), request.route.split("/"), strict=True)
            if place == "{}"
        ]
        given = _given(request)
        try:
            with self.backend.locked():
                answer = operation(account or self.backend.live, names, given)
        except HttpError as refusal:
            return refusal.status, _refusal(refusal.status, refusal.message)
        return 200, answer if isinstance(answer, bytes) else encode(answer)

    def _answer(self, request: ApiRequest, fate: StrEnum, result: _Result) -> Response:
        status, body = result
        if fate in (WriteOutcome.NOT_SENT, ReadOutcome.NOT_SENT):
            raise ScaleNotSent("Could not reach the Scale API: the network is down.")
        if fate in (WriteOutcome.DROPPED, WriteOutcome.LOST, ReadOutcome.DROPPED):
            raise ScaleNoAnswer(f"{request} was sent and no usable answer came.")
        if fate in _STATUSES:
            status = _STATUSES[fate]
            words = 'Batch "another\'s" takes no more tasks.' if fate in _ABOUT_ANOTHER else ""
            body = _refusal(status, words or f"The test asked for {status}.")
        elif fate is WriteOutcome.HTML:
            status, body = 200, b"<!DOCTYPE html><title>Just a moment...</title>"
        elif fate in (WriteOutcome.MIXED_UP, WriteOutcome.SWAPPED, ReadOutcome.MIXED_UP) and status == 200:
            body = _of_another(body)
        elif fate in (WriteOutcome.BROKEN, ReadOutcome.BROKEN):
            body = body[: len(body) // 2]
        return Response(status, body, self.timeline.now(), self.retry_after if status == 429 else None)


def _given(request: ApiRequest) -> Doc:
    """Return the query or the body of a request, as the sandbox reads it."""
    if request.body is None:
        return parse_qs(request.query)
    if not isinstance(request.body, FileForm):
        return cast("Doc", json.loads(request.body))
    form = request.body
    assert sum(map(len, form.chunks())) == int(form.headers["Content-Length"])
    described = {"name": form.name, "size": form.size, "type": None, "sha256": form.digest}
    return {**form.fields, "file": described}


def _refusal(status: int, message: str) -> bytes:
    return encode({"status_code": status, "error": message})


def _of_another(body: bytes) -> bytes:
    """Return an answer as it would be for an object that differs from ours in nothing but its names."""
    if body == b"OK":
        return body
    found = json.loads(body)
    for doc in found.get("docs", [found]):
        doc.update({name: other for name, other in _OTHERS.items() if name in doc})
    return encode(found)


def _copied(account: SandboxAccount) -> SandboxAccount:
    copy = SandboxAccount("live", account.switches, now=account.now, seed=0)
    copy.load("tasks", [(record.task_id, record.raw) for record in account.tasks])
    for kind in ("batches", "projects", "files", "quality_tasks"):
        copy.load(kind, [(name, encode(doc)) for name, doc in account.objects[kind].items()])
    return copy


def _rendered(account: SandboxAccount, record: TaskRecord) -> object:
    return render_task(record, account.read_rng, signed=False)


def _cancel(account: SandboxAccount, names: list[str], given: Doc) -> object:
    clear = is_yes(given, "clear_unique_id")
    return _rendered(account, task_writes.cancel_task(account, names[0], clear_unique_id=clear))


def _create_task(account: SandboxAccount, names: list[str], given: Doc) -> object:
    return _rendered(account, task_writes.create_task(account, names[0], given))


def _tags(method: str) -> _Operation:
    return lambda account, names, given: _rendered(
        account, task_writes.change_tags(account, names[0], method, cast("list[str]", given))
    )


def _audit(account: SandboxAccount, names: list[str], given: Doc) -> object:
    task_writes.audit_task(account, names[0], given["accepted"], given.get("comments"))
    return b"OK"


_OPERATIONS: dict[tuple[str, str], _Operation] = {
    ("GET", "task/{}"): lambda account, names, _: account.task(names[0]).raw,
    ("GET", "tasks"): lambda account, _, given: account.lister.answer(given, account.now()),
    ("GET", "batches/{}"): lambda account, names, _: account.batch(names[0]),
    ("GET", "projects/{}"): lambda account, names, _: account.project(names[0]),
    ("POST", "task/{}"): _create_task,
    ("POST", "task/{}/cancel"): _cancel,
    **{(method, "task/{}/tags"): _tags(method) for method in ("POST", "PUT", "DELETE")},
    ("POST", "task/{}/setMetadata"): lambda account, names, given: _rendered(
        account, task_writes.set_metadata(account, names[0], given)
    ),
    ("POST", "task/{}/unique_id"): lambda account, names, given: _rendered(
        account, task_writes.set_unique_id(account, names[0], given["unique_id"])
    ),
    ("DELETE", "task/{}/unique_id"): lambda account, names, _: _rendered(
        account, task_writes.set_unique_id(account, names[0], None)
    ),
    ("POST", "task/{}/audit"): _audit,
    ("POST", "batches/{}/setMetadata"): lambda account, names, given: set_batch_metadata(
        account, names[0], given
    ),
    ("POST", "batches"): lambda account, _, given: create_batch(account, given),
    ("POST", "batches/{}/finalize"): lambda account, names, _: finalize_batch(account, names[0]),
    ("POST", "files/import"): lambda account, _, given: import_file(account, given),
    ("POST", "files/upload"): lambda account, _, given: upload_file(account, given),
    **{
        ("POST", f"{kind}_tasks/{{}}"): lambda account, names, given: create_quality_task(
            account, names[0], given
        )
        for kind in ("evaluation", "training")
    },
    ("POST", "task/{}/send-callback"): lambda account, names, _: _rendered(
        account, task_writes.send_callback(account, names[0])
    ),
    ("POST", "projects"): lambda account, _, given: create_project(account, given),
    ("POST", "projects/{}/setParams"): lambda account, names, given: set_params(account, names[0], given),
}


class _Near(Transport):
    """Carries requests to a server in this process."""

    def __init__(self, options: ApiOptions, clock: VirtualClock, server: FakeApi) -> None:
        super().__init__(KEY, options, clock)
        self._server = server

    def send(self, request: ApiRequest) -> Response:
        """Hand the request over and return the answer."""
        return self._server.serve(request)


class FakeApiClient(ScaleApi):
    """The real client, with what it sends staying in this process."""

    def __init__(self, server: FakeApi, clock: VirtualClock, **options: Any) -> None:
        chosen = ApiOptions(**{"retry": RetryPolicy(attempts=1), **options})
        super().__init__(KEY, chosen, clock=clock, random=lambda: 0.5)
        self._transport = _Near(chosen, clock, server)
