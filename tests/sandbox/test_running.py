"""The sandbox as it runs: in a thread, as a process, with a state file, under change and control."""

import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from scalesync.sandbox import SandboxOptions, SandboxServer, serve
from scalesync.sandbox.filters import Params
from tests.support.sandboxes import LIVE, SandboxProcess, StartSandbox

StartProcess = Callable[..., SandboxProcess]

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

BODY = {"attachment": "https://pictures.example/1.jpg"}


def control(server: SandboxServer | SandboxProcess, method: str, path: str, body: Any = None) -> Any:
    """Return the JSON of one of the sandbox's own controls, which need no key."""
    answer = requests.request(method, f"{server.control_url}/_sandbox{path}", json=body, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()


def create(server: SandboxServer | SandboxProcess, **more: Any) -> Any:
    """Create a task and return it."""
    answer = requests.post(f"{server.url}/task/imageannotation", json=BODY | more, auth=LIVE, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_sandbox_starts_at_once_and_stops_at_once() -> None:
    """Starting and stopping an empty sandbox takes well under half a second, connections open or not."""
    began = time.monotonic()
    with SandboxServer() as server, requests.Session() as session:
        assert session.get(f"{server.url}/tasks", auth=LIVE, timeout=5).status_code == 200
        server.stop()
        with pytest.raises(requests.ConnectionError):
            session.get(f"{server.url}/tasks", auth=LIVE, timeout=5)
    assert time.monotonic() - began < 0.5


def test_a_taken_port_is_an_oserror(sandbox: SandboxServer) -> None:
    """A second sandbox on the same port cannot start, in a thread or for the command line."""
    taken = SandboxOptions(port=sandbox.port)
    with pytest.raises(OSError, match="in use"):
        SandboxServer(taken).start()
    with pytest.raises(OSError, match="in use"):
        serve(taken, print, threading.Event())


def test_only_this_machine_is_served(sandbox: SandboxServer) -> None:
    """The socket is bound to loopback."""
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=5):
        assert sandbox.url == f"http://127.0.0.1:{sandbox.port}/v1"


def test_stopping_leaves_no_connection_open(start_sandbox: StartSandbox) -> None:
    """Connections that come in just as the sandbox stops are closed too, not forgotten."""
    for number in range(30):
        server = start_sandbox()
        for _ in range(number % 6):
            socket.create_connection(("127.0.0.1", server.port), timeout=5).close()
        server.stop()
    gc.collect()


def test_serve_runs_until_its_event_is_set() -> None:
    """With an event of its own the caller decides when it ends."""
    stopping, urls = threading.Event(), []

    def ready(server: SandboxServer) -> None:
        urls.append(server.url)
        assert requests.get(f"{server.url}/tasks", auth=LIVE, timeout=5).status_code == 200
        stopping.set()

    serve(SandboxOptions(), ready, stopping)
    with pytest.raises(requests.ConnectionError):
        requests.get(urls[0], timeout=5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_process_quietly(
    start_sandbox_process: StartProcess, number: signal.Signals
) -> None:
    """SIGINT and SIGTERM end it with exit code 0, without a word on stderr."""
    server = start_sandbox_process(tasks=20)
    control(server, "GET", "")
    os.kill(server.process.pid, number)
    assert server.process.stderr is not None
    assert (server.process.wait(timeout=10), server.process.stderr.read()) == (0, "")


def test_state_survives_being_killed(start_sandbox_process: StartProcess, tmp_path: Path) -> None:
    """After SIGKILL all that was answered is there: objects, effects, deletions; nothing is made up."""
    options = {"tasks": 30, "state": tmp_path / "state.db"}
    server = start_sandbox_process(**options)
    [gone] = [doc["task_id"] for doc in control(server, "GET", "/documents/tasks")][:1]
    control(server, "DELETE", f"/tasks/{gone}")
    for number in range(40):
        create(server, unique_id=f"new-{number}")
    control(server, "POST", f"/tasks/{create(server)['task_id']}/complete")
    project = {"name": "p/q", "type": "imageannotation", "params": {"a": 1}}
    requests.post(f"{server.url}/projects", json=project, auth=LIVE, timeout=10)
    before = [control(server, "GET", f"/documents/{kind}") for kind in ("tasks", "batches", "projects")]
    effects = control(server, "GET", "/effects")
    create(server, unique_id="last")
    server.kill()
    again = start_sandbox_process(**options)
    last, *tasks = control(again, "GET", "/documents/tasks")
    assert last["unique_id"] == "last"
    after = [tasks, *(control(again, "GET", f"/documents/{kind}") for kind in ("batches", "projects"))]
    moved = json.dumps(before).replace(server.control_url, again.control_url)
    assert after == json.loads(moved)
    assert gone not in {doc["task_id"] for doc in tasks}
    effects["unique_id"]["last"] = effects["task"][last["task_id"]] = {"created": 1}
    assert control(again, "GET", "/effects") == effects
    create(again)


def test_without_the_extra_the_options_still_import() -> None:
    """Missing uvicorn and starlette are noticed only when the server is asked for."""
    script = (
        "import sys; sys.modules['uvicorn'] = sys.modules['starlette'] = None\n"
        "from scalesync.sandbox import SandboxOptions, Switches; SandboxOptions(faults=('500:2%',))\n"
        "try:\n    from scalesync.sandbox import serve\n"
        "except ModuleNotFoundError as error:\n    print(error.name)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() in {"uvicorn", "starlette"}


def test_annotators_finish_what_is_pending(start_sandbox: StartSandbox) -> None:
    """With a rate, pending tasks are completed as time goes by, and stopping ends it."""
    server = start_sandbox(annotate=500.0)
    made = [create(server)["task_id"] for _ in range(20)]
    deadline = time.monotonic() + 10
    while server.backend.live.tasks.pending and time.monotonic() < deadline:
        time.sleep(0.01)
    server.stop()
    statuses = {server.backend.live.tasks[task_id].status for task_id in made}
    assert statuses == {"completed"}


def test_annotators_recall_and_fix_a_few(start_sandbox: StartSandbox) -> None:
    """In the long run some completed tasks are fixed and some recalled."""
    server = start_sandbox(tasks=500, annotate=2000.0)
    deadline = time.monotonic() + 10
    fixed = recalled = False
    before = {record.task_id: record for record in server.backend.live.tasks}
    while not (fixed and recalled) and time.monotonic() < deadline:
        time.sleep(0.02)
        with server.backend.locked():
            changed = [task for task in server.backend.live.tasks if before[task.task_id].raw != task.raw]
        fixed = fixed or any(task.review == "fixed" and b"prior_responses" in task.raw for task in changed)
        recalled = recalled or any(before[task.task_id].status == "completed" for task in changed)
    assert fixed
    assert recalled


def test_churn_is_repeatable_and_touches_everything(start_sandbox: StartSandbox) -> None:
    """The same seed makes the same changes, to tasks, batches and projects, and updated_at follows."""
    one, two = (start_sandbox(tasks=200, seed=5, clock=lambda: NOON) for _ in range(2))
    before = [one.backend.documents(kind) for kind in ("tasks", "batches", "projects")]
    assert one.backend.churn(300) == two.backend.churn(300) > 200
    after = [one.backend.documents(kind) for kind in ("tasks", "batches", "projects")]
    there = [two.backend.documents(kind) for kind in ("tasks", "batches", "projects")]
    for mine, theirs in zip(after, there, strict=True):
        assert mine == [raw.replace(two.control_url.encode(), one.control_url.encode()) for raw in theirs]
    assert all(old != new for old, new in zip(before, after, strict=True))
    changed = [json.loads(raw) for raw in set(after[0]) - set(before[0])]
    assert {doc["updated_at"] for doc in changed} == {"2026-03-01T12:00:00.000Z"}


def test_changes_can_land_between_pages(sandbox: SandboxServer) -> None:
    """The hook is called with the list and its query before the list is answered."""
    seen: list[tuple[str, Params]] = []

    def change(kind: str, params: Params) -> None:
        seen.append((kind, params))
        if kind == "tasks":
            with sandbox.backend.locked():
                sandbox.backend.live.save_task(late)

    late = create(sandbox)
    sandbox.backend.remove("tasks", late["task_id"])
    sandbox.backend.before_list = change
    page = requests.get(f"{sandbox.url}/tasks?limit=5&status=pending", auth=LIVE, timeout=5).json()
    assert [doc["task_id"] for doc in page["docs"]] == [late["task_id"]]
    for path in ("batches", "projects"):
        requests.get(f"{sandbox.url}/{path}", auth=LIVE, timeout=5)
    assert seen == [("tasks", {"limit": ["5"], "status": ["pending"]}), ("batches", {}), ("projects", {})]


def test_churn_per_page_changes_the_account_at_each_page(start_sandbox: StartSandbox) -> None:
    """With churn_per_page every page of tasks comes after that many changes, other lists do not."""
    server = start_sandbox(tasks=100, churn_per_page=10)
    documents = server.backend.documents("tasks")
    requests.get(f"{server.url}/batches", auth=LIVE, timeout=5)
    assert server.backend.documents("tasks") == documents
    requests.get(f"{server.url}/tasks?limit=1", auth=LIVE, timeout=5)
    assert server.backend.documents("tasks") != documents


def test_a_process_is_controlled_over_http(start_sandbox_process: StartProcess) -> None:
    """Faults, changes, completion and disappearance can be ordered, and requests and effects asked for."""
    server = start_sandbox_process(tasks=60)
    task = create(server, unique_id="one")["task_id"]
    assert control(server, "GET", "/effects")["unique_id"] == {"one": {"created": 1}}
    assert control(server, "GET", "/effects?mode=test") == {}
    assert control(server, "POST", f"/tasks/{task}/complete") == {}
    read = f"{server.url}/task/{task}"
    assert requests.get(read, auth=LIVE, timeout=5).json()["status"] == "completed"
    control(server, "POST", f"/tasks/{task}/recall")
    assert requests.get(read, auth=LIVE, timeout=5).json()["status"] == "pending"
    control(server, "DELETE", f"/tasks/{task}")
    assert requests.get(read, auth=LIVE, timeout=5).status_code == 404
    assert control(server, "POST", "/churn", {"changes": 20})["landed"] > 10
    control(server, "POST", "/faults", ["503:100%@GET /tasks"])
    assert requests.get(f"{server.url}/tasks", auth=LIVE, timeout=5).status_code == 503
    control(server, "POST", "/faults", [])
    assert requests.get(f"{server.url}/tasks", auth=LIVE, timeout=5).json()["total"] >= 60
    assert control(server, "GET", "/requests") == {
        "total": 6,
        "list_pages": 2,
        "routes": {"POST /task/{type}": 1, "GET /task/{id}": 3, "GET /tasks": 2},
        "faults": {"503:100%@GET /tasks": 1},
    }


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", "/tasks/unknown", None),
        ("DELETE", "/files/unknown", None),
        ("GET", "/documents/files", None),
        ("POST", "/tasks/unknown/complete", None),
        ("POST", "/tasks/unknown/lose", None),
        ("POST", "/faults", ["flood"]),
        ("POST", "/churn", {"changes": "many"}),
    ],
)
def test_a_wrong_order_is_refused(sandbox: SandboxServer, method: str, path: str, body: Any) -> None:
    """Controls refuse what they cannot do with 400 or 404 and a sentence."""
    answer = requests.request(method, f"{sandbox.control_url}/_sandbox{path}", json=body, timeout=5)
    assert answer.status_code in {400, 404}
    assert answer.json()["error"]


def test_batches_and_projects_can_vanish_whatever_their_name(sandbox: SandboxServer) -> None:
    """Names in the control's path are percent-decoded too."""
    requests.post(
        f"{sandbox.url}/projects", json={"name": "a/b", "type": "imageannotation"}, auth=LIVE, timeout=5
    )
    control(sandbox, "DELETE", "/projects/a%2Fb")
    assert control(sandbox, "GET", "/documents/projects") == []
