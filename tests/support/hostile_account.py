"""An account in which strangers wrote scripts, elements, addresses and odd characters in every place."""

from typing import Any, NamedTuple
from urllib.parse import quote

from scalesync.mirror import Mirror
from scalesync.sandbox import SandboxServer
from scalesync.sandbox.batches import create_batch
from scalesync.sandbox.media import MEDIA
from scalesync.sandbox.projects import create_project
from scalesync.web.addresses import segment
from tests.support.shown_account import put

SCRIPT = "<script>alert(1)</script>"
PROJECT = '"><img src=x onerror=alert(1)>'
BATCH = "'--><svg onload=alert(1)>/../?a=1&b=%00#c"
UNIQUE_ID = "javascript:alert(1)//' onfocus='alert(1)' autofocus x='"
INSTRUCTION = '{{ 7 * 7 }}</title></textarea><iframe srcdoc="<script>parent.alert(1)</script>"></iframe>'
TURNED = "left\u202eright\u2066\u200f\ufeff"
LINES = "one\u2028two\u2029three\u0085four\x0bfive"
NOTHING = "a\x00b\u2400c"
LONG = "x<b>" * 25_000
ODD = (
    SCRIPT,
    PROJECT,
    TURNED,
    LINES,
    NOTHING,
    LONG,
    "javascript:alert(1)",
    "data:text/html,<script>1</script>",
)
"""Texts of annotations."""
TASK, TEXT, TO_RUN = "a" * 24, "b" * 24, "c" * 24


class HostilePages(NamedTuple):
    """The pages over the mirror of a hostile account."""

    origin: str
    pictures: str
    addresses: list[str]
    """Of every page, without the origin, in several forms where it has them."""


def fill(server: SandboxServer) -> None:
    """Have the account of a sandbox hold a project, a batch and tasks of strangers."""
    named = {"project": PROJECT, "batch": BATCH, "instruction": INSTRUCTION, "tags": [SCRIPT, TURNED]}
    with server.backend.locked():
        create_project(server.backend.live, {"name": PROJECT, "type": "imageannotation"})
        create_batch(server.backend.live, {"name": BATCH, "project": PROJECT, "metadata": {SCRIPT: SCRIPT}})
    box: dict[str, Any] = {"type": "box", "left": 40, "top": 40, "width": 90, "height": 90}
    boxes = [
        {**box, "label": label[:2_000], "uuid": f"{SCRIPT}{number}", "left": 100 * number,
         "attributes": {label[:50]: label, "go": "javascript:alert(1)"}}
        for number, label in enumerate(ODD)
    ]  # fmt: skip
    audit = {"audited_by": SCRIPT, "audit_result": "rejected", "comments": PROJECT}
    put(server, task_id=TASK, type="imageannotation", unique_id=UNIQUE_ID, metadata={SCRIPT: LONG},
        params={"attachment": f"{MEDIA}/pictures/{PROJECT}.png"}, response={"annotations": boxes},
        audits=[audit], **named)  # fmt: skip
    entities = [
        {"id": f"e{number}", "start": 0, "end": 5, "text": text, "label": text[:2_000]}
        for number, text in enumerate(ODD)
    ]
    put(server, task_id=TEXT, type="namedentityrecognition", **named,
        params={"text": "".join(ODD)}, response={"annotations": entities})  # fmt: skip
    put(server, task_id=TO_RUN, type="imageannotation", params={"attachment": "javascript:alert(1)"},
        response={"annotations": boxes}, **named)  # fmt: skip


def queue(mirror: Mirror) -> None:
    """Have commands of strangers wait."""
    with mirror.transaction() as tx:
        tx.create_project(f"{PROJECT} 2", "imageannotation", {"instruction": INSTRUCTION})
        tx.create_task("imageannotation", {"attachment": PROJECT, "unique_id": SCRIPT})
        tx.cancel_task(TASK)


def addresses() -> list[str]:
    """Return the address of every page without its server, in several forms where it has them."""
    project, batch = quote(PROJECT), segment(BATCH)
    statement = quote(f'SELECT label, count(*) AS "{SCRIPT}" FROM annotations GROUP BY label')
    return [
        "", f"?project={project}", "tasks", "tasks?view=grid", f"tasks?project={project}&tags={SCRIPT}",
        f"task/{TASK}", f"task/{TEXT}?project={project}", f"task/{TO_RUN}", "labels",
        f"labels?project={project}", "batches", f"batches?project={project}", f"batches/{batch}", "queue",
        f"sql?q={statement}", "sql", f"sql?q={SCRIPT}", f"task/{project}", f"versions/{TASK}",
        f"tasks?{project}={project}",
    ]  # fmt: skip
