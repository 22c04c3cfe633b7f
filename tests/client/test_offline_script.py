"""A script that knows no network: tasks with tags, all of them about a file that is uploaded with them."""

import os
from pathlib import Path
from typing import Any

from scalesync.sandbox import SandboxServer
from tests.client.conftest import Connect

TASKS = int(os.environ.get("SCALESYNC_SCRIPT_TASKS", "100"))
BOX = "imageannotation"


def test_an_offline_script_is_sent_once_with_the_address_of_its_file(
    sandbox: SandboxServer, connect: Connect, tmp_path: Path
) -> None:
    """Queued without a request; after one dispatch each task is there once, with the file's real address."""
    picture = tmp_path / "1.jpg"
    picture.write_bytes(b"a picture")
    client = connect(sandbox, writes="queue")
    client.create_project("P", BOX, {"instruction": "Box every car."})
    client.create_batch("P", "B")
    with picture.open("rb") as file:
        uploaded = client.upload_file(file, project_name="P")
    assert (uploaded.id, str(uploaded.attachment_url).partition(":")[0]) == (None, "scalesync-file")
    for number in range(TASKS):
        body: dict[str, Any] = {"attachment": uploaded.attachment_url, "unique_id": f"u{number}"}
        client.create_task(BOX, **body, project="P", batch="B", tags=[f"tag{number % 3}"])
    assert sum(sandbox.backend.requests.values()) == 0

    summary = client.mirror.dispatch(patience=20)
    assert (summary.delivered, summary.dead) == (TASKS + 3, 0)
    [file_there] = sandbox.backend.live.objects["files"].values()
    applied, tasks = sandbox.backend.applied, [record.doc() for record in sandbox.backend.live.tasks]
    assert applied.count("file", file_there["shown"]["reference_id"], "created") == 1
    assert len(tasks) == TASKS
    assert {applied.count("unique_id", f"u{number}", "created") for number in range(TASKS)} == {1}
    address = file_there["shown"]["attachment_url"]
    assert {task["params"]["attachment"] for task in tasks} == {address}
    assert all(task["tags"] == [f"tag{int(task['unique_id'][1:]) % 3}"] for task in tasks)
    mirrored = client.mirror.tasks(project="P", limit=1)
    assert next(iter(mirrored))["params"]["attachment"] == address
