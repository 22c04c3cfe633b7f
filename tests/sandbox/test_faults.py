"""Bad days: how they are asked for, and what a real client sees of each."""

import time
from typing import Any

import pytest
import requests

from scalesync.sandbox import SandboxServer
from scalesync.sandbox.faults import FaultKind, FaultPlan, parse_fault
from tests.support.sandboxes import LIVE, StartSandbox

BODY = {"attachment": "https://pictures.example/1.jpg", "unique_id": "one"}


def create(server: SandboxServer, timeout: float = 5) -> requests.Response:
    """Create the task `one` over a connection of its own."""
    return requests.post(f"{server.url}/task/imageannotation", json=BODY, auth=LIVE, timeout=timeout)


def read(server: SandboxServer, timeout: float = 5) -> requests.Response:
    """Read a page of tasks over a connection of its own."""
    return requests.get(f"{server.url}/tasks", auth=LIVE, timeout=timeout)


def created(server: SandboxServer) -> int:
    """Return how often the task `one` was really created."""
    return server.backend.applied.count("unique_id", "one", "created")


def test_status(start_sandbox: StartSandbox) -> None:
    """The status comes with the API's own form of errors, and nothing happens; 520 comes with HTML."""
    server = start_sandbox(faults=("503:100%@POST", "520:100%@GET"))
    assert create(server).json()["status_code"] == create(server).status_code == 503
    page = read(server)
    assert (page.status_code, page.headers["content-type"][:9]) == (520, "text/html")
    assert created(server) == 0


def test_reset(start_sandbox: StartSandbox) -> None:
    """The connection is reset without an answer, and nothing happens."""
    server = start_sandbox(faults=("reset:100%",))
    with pytest.raises(requests.ConnectionError) as error:
        create(server)
    assert "ConnectionResetError" in repr(error.value)
    assert created(server) == 0


def test_truncate(start_sandbox: StartSandbox) -> None:
    """The body ends before its announced length, though the write was applied."""
    server = start_sandbox(faults=("truncate:100%",))
    with pytest.raises(requests.exceptions.ChunkedEncodingError) as error:
        create(server)
    assert "IncompleteRead" in repr(error.value)
    assert created(server) == 1


def test_html(start_sandbox: StartSandbox) -> None:
    """A 200 carries HTML, and nothing happens."""
    server = start_sandbox(faults=("html:100%",))
    answer = create(server)
    assert answer.status_code == 200
    with pytest.raises(requests.exceptions.JSONDecodeError):
        answer.json()
    assert created(server) == 0


def test_hang(start_sandbox: StartSandbox) -> None:
    """There is no answer while the client waits, and after the fault's seconds the connection ends."""
    server = start_sandbox(faults=("hang:100%:seconds=0.4",))
    with pytest.raises(requests.ReadTimeout):
        create(server, timeout=0.1)
    with pytest.raises(requests.ConnectionError):
        create(server)
    assert created(server) == 0


def test_trickle(start_sandbox: StartSandbox) -> None:
    """The body comes a byte at a time: no single read takes long, the whole does."""
    server = start_sandbox(faults=("trickle:100%:seconds=0.01",))
    began = time.monotonic()
    assert read(server, timeout=0.5).json()["docs"] == []
    assert time.monotonic() - began > 0.5


def test_applied_then_dropped(start_sandbox: StartSandbox) -> None:
    """A write is applied and its connection reset; reads are left alone."""
    server = start_sandbox(faults=("applied-then-dropped:100%",))
    assert read(server).status_code == 200
    with pytest.raises(requests.ConnectionError):
        create(server)
    assert created(server) == 1


def test_applied_then_500(start_sandbox: StartSandbox) -> None:
    """A write is applied and answered with 500; reads are left alone."""
    server = start_sandbox(faults=("applied-then-500:100%",))
    assert read(server).status_code == 200
    assert create(server).status_code == 500
    assert created(server) == 1


def test_applied_late(start_sandbox: StartSandbox) -> None:
    """A write is answered with 504 at once and applied afterwards."""
    server = start_sandbox(faults=("applied-late:100%:seconds=0.2",))
    assert create(server).status_code == 504
    assert created(server) == 0
    deadline = time.monotonic() + 5
    while not created(server) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert created(server) == 1
    assert read(server).json()["docs"][0]["unique_id"] == "one"


def test_latency(start_sandbox: StartSandbox) -> None:
    """Every request takes at least that long, and is answered."""
    server = start_sandbox(faults=("latency:80ms",))
    began = time.monotonic()
    assert read(server).status_code == 200
    assert time.monotonic() - began >= 0.08


def test_every_kind_has_a_test() -> None:
    """Each kind of fault has the test above that bears its name."""
    assert {f"test_{kind.name.lower()}" for kind in FaultKind} <= set(globals())


def test_a_fault_leaves_other_connections_alone(start_sandbox: StartSandbox) -> None:
    """After faults the server goes on, on kept-alive connections too."""
    server = start_sandbox(faults=("reset:100%:times=1", "truncate:100%:times=1@/tasks"))
    with requests.Session() as session:
        session.auth = LIVE
        for _ in range(2):
            with pytest.raises(requests.RequestException):
                session.get(f"{server.url}/tasks", timeout=5)
        for _ in range(3):
            assert session.get(f"{server.url}/tasks", timeout=5).status_code == 200


def test_a_fault_strikes_only_where_and_as_often_as_asked(start_sandbox: StartSandbox) -> None:
    """A method, a path and a number of times limit a fault; requests count all the same."""
    server = start_sandbox(faults=("500:100%:times=2@GET /tasks", "404:100%@/task/*/cancel"))
    assert [read(server).status_code for _ in range(3)] == [500, 500, 200]
    assert create(server).status_code == 200
    answer = requests.post(f"{server.url}/task/x/cancel", auth=LIVE, timeout=5)
    assert answer.json()["error"] != "Task with that ID not found."
    assert server.backend.requests["GET /tasks"] == 3
    assert server.backend.faults.injected == {"500:100%:times=2@GET /tasks": 2, "404:100%@/task/*/cancel": 1}


def test_the_same_seed_strikes_the_same_requests() -> None:
    """Faults are drawn repeatably, in about the proportion that was asked for."""
    draws = [
        [bool(plan.draw("GET", "/tasks")) for _ in range(2000)]
        for plan in (FaultPlan(("500:10%",), 7), FaultPlan(("500:10%",), 7), FaultPlan(("500:10%",), 8))
    ]
    assert draws[0] == draws[1] != draws[2]
    assert 140 < sum(draws[0]) < 260


def test_at_most_one_fault_strikes_besides_latency() -> None:
    """Latencies come first and add to whatever else strikes."""
    plan = FaultPlan(("500:100%", "latency:5ms", "reset:100%"), 1)
    assert [fault.kind for fault in plan.draw("GET", "/tasks")] == [FaultKind.LATENCY, FaultKind.STATUS]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500:2%", {"kind": FaultKind.STATUS, "status": 500, "chance": 0.02}),
        ("429:1%:retry-after=2", {"status": 429, "chance": 0.01, "retry_after": 2}),
        ("reset", {"kind": FaultKind.RESET, "chance": 0.02}),
        ("hang:0.5%:seconds=3", {"kind": FaultKind.HANG, "chance": 0.005, "seconds": 3}),
        ("latency:40ms", {"kind": FaultKind.LATENCY, "chance": 1, "seconds": 0.04}),
        ("applied-late:100%:times=1@POST /task/*", {"times": 1, "method": "POST", "path": "/task/*"}),
        ("html@/batches", {"kind": FaultKind.HTML, "method": "", "path": "/batches"}),
    ],
)
def test_a_fault_is_read_from_text(text: str, expected: dict[str, Any]) -> None:
    """A fault names its kind, its chance, its parts and its place."""
    fault = parse_fault(text)
    assert {name: getattr(fault, name) for name in expected} == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "flood",
        "status",
        "99",
        "500:often",
        "500:2%:2",
        "latency",
        "500:1.2.3%",
        "reset@FETCH",
        "reset@tasks",
    ],
)
def test_an_unreadable_fault_is_refused(text: str, start_sandbox: StartSandbox) -> None:
    """A fault that does not exist is a ValueError, when parsed and when a sandbox is to have it."""
    with pytest.raises(ValueError, match="KIND:CHANCE%"):
        parse_fault(text)
    with pytest.raises(ValueError, match="KIND:CHANCE%"):
        start_sandbox(faults=(text,))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("500:200%", "more than 100%"),
        ("500:100.1%", "more than 100%"),
        ("latency:40ms:101%", "more than 100%"),
        ("hang:seconds=1000000000000", "longer than a day"),
        ("latency:99999999999999ms", "longer than a day"),
        ("429:retry-after=1000000", "longer than a day"),
        ("reset:times=1.5", "whole number"),
        ("500:-2%", "KIND:CHANCE%"),
        ("500:nan%", "KIND:CHANCE%"),
        ("500:inf%", "KIND:CHANCE%"),
        ("500:\u0662%", "KIND:CHANCE%"),
        ("latency:-1ms", "KIND:CHANCE%"),
        ("latency:0ms", "KIND:CHANCE%"),
        ("hang:seconds=-1", "KIND:CHANCE%"),
        ("100:5%", "KIND:CHANCE%"),
        ("600:5%", "KIND:CHANCE%"),
    ],
)
def test_a_fault_that_cannot_be_had_is_refused(text: str, words: str) -> None:
    """Numbers that mean nothing are refused, and the sentence says which."""
    with pytest.raises(ValueError, match=words):
        parse_fault(text)
