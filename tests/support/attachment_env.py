"""Write tasks that name attachments, fetch these from a server of files, and read what is known then."""

from pathlib import Path
from typing import Any

import msgspec

from scalesync.api.downloads import DownloadOptions, Downloads
from scalesync.clock import Clock
from scalesync.db.database import Database
from scalesync.db.mirror.documents import TASKS, to_row
from scalesync.db.mirror.upsert import write_rows
from scalesync.db.schema.annotations_and_changes import attachments
from scalesync.models.changes import SeenBy
from scalesync.models.selection import Selection
from scalesync.retry import RetryPolicy
from scalesync.sync.attachment_files import AttachmentDirectory
from scalesync.sync.attachments import AttachmentFetcher, AttachmentSummary, AttachmentWatcher
from tests.support.file_server import KEY, rows


def name_attachments(database: Database, **params: Any) -> None:
    """Write a task of pictures for each name of params, or of the address of a picture."""
    for task_id, given in params.items():
        chosen = {"attachment": given} if isinstance(given, str) else given
        document = {"task_id": task_id, "type": "imageannotation", "status": "completed", "params": chosen}
        with database.write() as conn:
            row = to_row(TASKS, msgspec.json.encode(document))
            write_rows(conn, TASKS, [row], SeenBy(Clock().now()))


def fetch_attachments(
    database: Database,
    to: Path | None = None,
    *,
    wanted: Selection | None = None,
    refresh: bool = False,
    watch: AttachmentWatcher = lambda _: None,
    clock: Clock | None = None,
    **options: Any,
) -> AttachmentSummary:
    """Fetch what is named, giving up quickly; private addresses are allowed unless refused."""
    quick = RetryPolicy(attempts=2, base=0.01)
    chosen = DownloadOptions(**{"allow_private": True, "retry": quick, "as_sent": True, **options})
    clock = clock or Clock()
    directory = None if to is None else AttachmentDirectory(to.absolute())
    with Downloads(KEY, chosen, clock=clock) as downloads:
        fetcher = AttachmentFetcher(
            database, downloads, clock, watch, 4, wanted or Selection(), directory, refresh=refresh
        )
        return fetcher.run()


def known(database: Database, *names: str) -> dict[str, tuple[Any, ...]]:
    """Return these columns of `attachments`, or width and height, by the last part of the address."""
    found = rows(database, attachments, ("url", *(names or ("width", "height"))))
    return {url.rpartition("/")[2]: tuple(rest) for url, *rest in found}


def error_of(database: Database, name: str) -> str | None:
    """Return why something is not known of an attachment."""
    error: str | None = known(database, "error")[name][0]
    return error


def files_in(directory: Path) -> dict[str, bytes]:
    """Return the content of all files below a directory, by suffix and size of their name."""
    found = [path for path in directory.rglob("*") if path.is_file()]
    return {str(path.relative_to(directory)): path.read_bytes() for path in found}
