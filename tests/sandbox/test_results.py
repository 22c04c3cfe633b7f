"""The files that responses name: real addresses, the right form, the same at every read."""

import json
from typing import Any

import pytest
import requests

from scalesync.sandbox import SandboxOptions, SandboxServer, Switches
from scalesync.sandbox.backend import Backend
from scalesync.sandbox.result_files import RESULTS, content
from tests.support.sandboxes import LIVE, StartSandbox

FORMS: dict[str, tuple[type, str]] = {
    "frames": (list, "annotations"),
    "cuboids": (list, "cuboids"),
    "playback": (dict, "frames"),
    "linked": (list, "camera_responses"),
}
"""What the file of each kind is, and what its elements are known by."""


def links(value: Any) -> list[str]:
    """Return every address of a result file in a document."""
    if isinstance(value, str):
        return [value] if "/results/" in value else []
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [found for each in inner for found in links(each)]


def completed(server: SandboxServer, kind: str) -> dict[str, Any]:
    """Make a task of a type, complete it, and return it."""
    body = {"attachment": "https://pictures.example/1.mp4"}
    made = requests.post(f"{server.url}/task/{kind}", json=body, auth=LIVE, timeout=10).json()
    server.backend.complete(made["task_id"])
    return read(server, made["task_id"])


def read(server: SandboxServer, task_id: str) -> dict[str, Any]:
    """Return a task as it is read now."""
    found: dict[str, Any] = requests.get(f"{server.url}/task/{task_id}", auth=LIVE, timeout=10).json()
    return found


@pytest.mark.parametrize(
    ("task_type", "kinds"),
    [
        ("videoannotation", {"frames"}),
        ("videoplaybackannotation", {"playback", "events"}),
        ("lidarannotation", {"cuboids"}),
        ("lidarsegmentation", {"points", "cuboids"}),
        ("lidarlinking", {"linked"}),
        ("segmentannotation", {"images"}),
    ],
)
def test_what_a_response_names_can_be_fetched(
    sandbox: SandboxServer, task_type: str, kinds: set[str]
) -> None:
    """Without a key, with any signature, the same bytes each time, in the form that the type has."""
    found = links(completed(sandbox, task_type))

    assert {url.removeprefix(sandbox.backend.results_url).split("/")[1] for url in found} == kinds
    for url in found:
        kind = url.split("/")[-2]
        answer = requests.get(f"{url}?signature=any", timeout=10)
        assert (answer.status_code, answer.content) == (200, requests.get(url, timeout=10).content)
        if kind == "images":
            assert answer.content.startswith(b"\x89PNG")
            continue
        body = json.loads(answer.content.rstrip(b"\0"))
        if kind in FORMS:
            form, name = FORMS[kind]
            elements = list(body.values()) if isinstance(body, dict) else body
            assert isinstance(body, form)
            assert all(name in each for each in elements)


def test_some_files_end_in_nul_bytes() -> None:
    """As recorded of the real ones."""
    files = [content("frames", str(number)) or b"" for number in range(40)]

    assert {file.endswith(b"\0") for file in files} == {True, False}


def test_an_unknown_kind_of_file_is_404(sandbox: SandboxServer) -> None:
    """In the API's own words for errors."""
    answer = requests.get(f"{sandbox.backend.results_url}/no/such", timeout=10)

    assert (answer.status_code, set(answer.json())) == (404, {"status_code", "error"})


def test_the_worlds_documents_are_those_served(start_sandbox: StartSandbox) -> None:
    """Links included; where the sandbox does not listen, they lead nowhere."""
    server = start_sandbox(tasks=60)

    page = requests.get(f"{server.url}/tasks", params={"limit": "100"}, auth=LIVE, timeout=10).json()

    assert page["docs"] == [json.loads(raw) for raw in server.backend.documents("tasks")]
    assert links(page)
    assert any(RESULTS.encode() in raw for raw in Backend(SandboxOptions(tasks=60)).documents("tasks"))


def test_links_are_signed_for_one_read_where_a_switch_says_so(start_sandbox: StartSandbox) -> None:
    """The address before the signature stays; what stands behind it is the same file."""
    server = start_sandbox(switches=Switches(presigned_urls="always"))
    task = completed(server, "videoannotation")

    [first], [second] = links(task), links(read(server, task["task_id"]))

    assert first != second
    assert first.split("?")[0] == second.split("?")[0]
    assert requests.get(first, timeout=10).content == requests.get(second, timeout=10).content


def test_faults_strike_files_too(start_sandbox: StartSandbox) -> None:
    """A fault for everything makes their download fail, and each request is counted."""
    server = start_sandbox()
    [url] = links(completed(server, "videoannotation"))
    server.backend.faults.replace(["503:100%"])

    assert requests.get(url, timeout=10).status_code == 503
    assert server.backend.requests["GET /results/{kind}/{name}"] == 1
