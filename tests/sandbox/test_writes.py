"""Writes: what is refused, in which words, and what is counted as having really happened."""

import base64
from typing import Any

import pytest
import requests

from scalesync.sandbox import SandboxServer
from scalesync.sandbox.account import AppliedWrites
from tests.support.sandboxes import LIVE

Doc = dict[str, Any]

BODY: Doc = {"attachment": "https://pictures.example/1.jpg"}


def send(server: SandboxServer, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Return status and JSON of a request with a live key."""
    answer = requests.request(method, server.url + path, json=body, auth=LIVE, timeout=10)
    return answer.status_code, answer.json() if answer.text != "OK" else "OK"


def make(server: SandboxServer, **more: Any) -> Doc:
    """Create a task and return it."""
    status, task = send(server, "POST", "/task/imageannotation", BODY | more)
    assert status == 200, task
    return dict(task)


def effects(server: SandboxServer) -> dict[str, dict[str, dict[str, int]]]:
    """Return the effects on live objects without those by task_id."""
    tree = server.backend.applied.as_dict()
    return {kind: names for kind, names in tree.items() if kind != "task"}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/task/knitting", BODY, 400),
        ("POST", "/task/imageannotation", [], 400),
        ("POST", "/task/imageannotation", {}, 400),
        ("POST", "/task/imageannotation", BODY | {"project": "unknown"}, 404),
        ("POST", "/task/imageannotation", BODY | {"batch": "unknown"}, 400),
        ("POST", "/task/imageannotation", BODY | {"batch": "b", "project": "other"}, 400),
        ("POST", "/task/imageannotation", BODY | {"unique_id": 5}, 400),
        ("POST", "/task/imageannotation", BODY | {"metadata": []}, 400),
        ("POST", "/task/imageannotation", BODY | {"tags": [1]}, 400),
        ("POST", "/batches", {"name": "b2"}, 400),
        ("POST", "/batches", {"name": "b2", "project": "unknown"}, 404),
        ("POST", "/batches", {"name": "b2", "project": "p", "metadata": []}, 400),
        ("POST", "/batches", {"name": "b", "project": "p"}, 409),
        ("POST", "/projects", {"type": "imageannotation"}, 400),
        ("POST", "/projects", {"type": "knitting", "name": "p2"}, 400),
        ("POST", "/projects", {"type": "imageannotation", "name": "p2", "params": []}, 400),
        ("POST", "/projects", {"type": "imageannotation", "name": "p"}, 409),
        ("POST", "/files/upload", {}, 400),
        ("POST", "/teams/invite", {"emails": ["a@example.com"], "team_role": "king"}, 400),
        ("PATCH", "/batches", {}, 405),
        ("GET", "/nothing", None, 404),
    ],
)
def test_a_bad_write_is_refused_and_changes_nothing(
    sandbox: SandboxServer, method: str, path: str, body: Any, status: int
) -> None:
    """Each refusal has its status and the API's form of errors, and no effect is counted."""
    for name in ("p", "other"):
        send(sandbox, "POST", "/projects", {"type": "imageannotation", "name": name})
    send(sandbox, "POST", "/batches", {"name": "b", "project": "p"})
    before = sandbox.backend.applied.as_dict()
    answer = send(sandbox, method, path, body)
    assert answer[0] == answer[1]["status_code"] == status
    assert isinstance(answer[1]["error"], str)
    assert sandbox.backend.applied.as_dict() == before


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Bearer live_x", 200),
        ("Basic " + base64.b64encode(b"live_x:").decode(), 200),
        ("Basic " + base64.b64encode(b"live_x:secret").decode(), 200),
        ("Bearer other", 401),
        ("Bearer ", 401),
        ("Basic ???", 401),
        ("Digest live_x", 401),
        ("", 401),
    ],
)
def test_the_key_comes_as_basic_or_bearer(sandbox: SandboxServer, header: str, status: int) -> None:
    """A key is taken as a Basic user name or as a Bearer token; anything else is a 401."""
    answer = requests.get(f"{sandbox.url}/tasks", headers={"Authorization": header}, timeout=10)
    assert answer.status_code == status
    assert status == 200 or answer.json()["status_code"] == 401


def test_a_body_that_is_not_json_is_refused(sandbox: SandboxServer) -> None:
    """Broken JSON is 400."""
    answer = requests.post(f"{sandbox.url}/batches", data=b"{", auth=LIVE, timeout=10)
    assert (answer.status_code, answer.json()["error"]) == (400, "The request body is not valid JSON.")


def test_a_used_unique_id_is_409_in_the_documented_words(sandbox: SandboxServer) -> None:
    """A duplicate names the unique_id and the task that has it, and creates nothing."""
    first = make(sandbox, unique_id="img-1")
    words = f'The unique_id ("img-1") is already used for a different task ({first["task_id"]}).'
    again = send(sandbox, "POST", "/task/imageannotation", BODY | {"unique_id": "img-1"})
    assert again == (409, {"status_code": 409, "error": words})
    assert effects(sandbox) == {"unique_id": {"img-1": {"created": 1}}}


def test_a_task_that_was_started_cannot_be_canceled(sandbox: SandboxServer) -> None:
    """Cancel works only while nobody has begun; completed tasks refuse it too."""
    task = make(sandbox)
    with sandbox.backend.locked():
        sandbox.backend.live.save_task({**task, "work_started": True})
    assert send(sandbox, "POST", f"/task/{task['task_id']}/cancel")[0] == 400
    sandbox.backend.complete(task["task_id"])
    assert send(sandbox, "POST", f"/task/{task['task_id']}/cancel")[0] == 400


def test_effects_count_what_really_happened(sandbox: SandboxServer) -> None:
    """Creates, finalizes, cancels and versions are counted per object, once each, refused ones never."""
    send(sandbox, "POST", "/projects", {"type": "imageannotation", "name": "p", "rapid": True})
    send(sandbox, "POST", "/batches", {"name": "b", "project": "p"})
    task = make(sandbox, batch="b", unique_id="one")
    for _ in range(2):
        send(sandbox, "POST", f"/task/{task['task_id']}/cancel?clear_unique_id=true")
        send(sandbox, "POST", "/batches/b/finalize")
        send(sandbox, "POST", "/projects/p/setParams", {"a": 1})
        send(sandbox, "POST", "/projects", {"type": "imageannotation", "name": "p"})
    assert effects(sandbox) == {
        "project": {"p": {"created": 1, "versioned": 2}},
        "batch": {"b": {"created": 1, "finalized": 1}},
        "unique_id": {"one": {"created": 1, "canceled": 1}},
    }
    assert sandbox.backend.applied.as_dict()["task"] == {task["task_id"]: {"created": 1, "canceled": 1}}
    assert sandbox.backend.test.applied.as_dict() == {}


def test_an_enterprise_finalize_has_no_effect(sandbox: SandboxServer) -> None:
    """Finalizing an Enterprise batch answers 200 and is not counted."""
    send(sandbox, "POST", "/projects", {"type": "imageannotation", "name": "p"})
    send(sandbox, "POST", "/batches", {"name": "b", "project": "p"})
    assert send(sandbox, "POST", "/batches/b/finalize")[1]["status"] == "in_progress"
    assert sandbox.backend.applied.count("batch", "b", "finalized") == 0


def test_a_batch_completes_when_its_last_task_is_done(sandbox: SandboxServer) -> None:
    """Completed, canceled and error count as done; an empty batch stays open."""
    send(sandbox, "POST", "/projects", {"type": "imageannotation", "name": "p"})
    send(sandbox, "POST", "/batches", {"name": "b", "project": "p"})
    one, two = make(sandbox, batch="b"), make(sandbox, batch="b")
    assert send(sandbox, "GET", "/batches/b/status")[1] == {"status": "in_progress", "pending": 2}
    sandbox.backend.complete(one["task_id"])
    send(sandbox, "POST", f"/task/{two['task_id']}/cancel")
    status = send(sandbox, "GET", "/batches/b/status")[1]
    assert status == {"status": "completed", "completed": 1, "canceled": 1}
    assert send(sandbox, "POST", "/task/imageannotation", BODY | {"batch": "b"})[0] == 400


def test_an_audit_answers_the_bare_text_ok(sandbox: SandboxServer) -> None:
    """A 200 need not be JSON."""
    task = make(sandbox)
    sandbox.backend.complete(task["task_id"])
    assert send(sandbox, "POST", f"/task/{task['task_id']}/audit", {"accepted": True}) == (200, "OK")
    assert send(sandbox, "POST", f"/task/{task['task_id']}/audit", {"comments": "x"})[0] == 400


def test_a_recall_keeps_the_response_and_completion_gives_another(sandbox: SandboxServer) -> None:
    """Status goes back to pending, the response moves to prior_responses, updated_at moves on."""
    task_id = make(sandbox)["task_id"]
    sandbox.backend.complete(task_id)
    done = send(sandbox, "GET", f"/task/{task_id}")[1]
    sandbox.backend.recall(task_id)
    recalled = send(sandbox, "GET", f"/task/{task_id}")[1]
    assert (recalled["status"], recalled["prior_responses"]) == ("pending", [done["response"]])
    assert not {"response", "completed_at"} & set(recalled)
    assert recalled["updated_at"] >= done["updated_at"]


@pytest.mark.parametrize("text", ["\x00", "\ud800", "😀", '"\\/\u2028', "x" * 3_000_000], ids=ascii)
def test_any_text_survives_the_way_in_and_out(sandbox: SandboxServer, text: str) -> None:
    """U+0000, lone surrogates and megabytes are stored and given back as they came."""
    task = make(sandbox, metadata={"text": text})
    listed = send(sandbox, "GET", "/tasks")[1]["docs"]
    assert [doc["metadata"] for doc in (task, *listed)] == [{"text": text}] * 2


def test_names_with_slashes_and_signs_stay_whole_in_paths(sandbox: SandboxServer) -> None:
    """%2F in a path belongs to the name; a bare slash does not."""
    name = "a/b c%2Fd?e"
    send(sandbox, "POST", "/projects", {"type": "imageannotation", "name": name})
    assert send(sandbox, "GET", "/projects/a%2Fb%20c%252Fd%3Fe")[1]["name"] == name
    assert send(sandbox, "GET", "/projects/a/b%20c%252Fd%3Fe")[0] == 404


def test_a_count_restored_is_a_count() -> None:
    """Counts of applied writes begin where an earlier process left them."""
    counts = AppliedWrites()
    counts.restore("task", "x", "created", 2)
    counts.add("task", "x", "created")
    assert list(counts) == [("task", "x", "created", 3)]
