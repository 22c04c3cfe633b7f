"""Where result files can be had: links that are signed expire, and a task that is read again has new ones."""

from dataclasses import dataclass

from scalesync.api.client import ScaleApi
from scalesync.db.database import Database
from scalesync.db.mirror import result_files, upsert
from scalesync.db.mirror.documents import TASKS
from scalesync.errors import ScaleException


@dataclass(frozen=True, slots=True)
class UrlRefresher:
    """Where files are, as far as the mirror knows, and the API where it may be asked."""

    database: Database
    api: ScaleApi | None = None

    def refresh_url(self, url: str) -> str | None:
        """Read a task that names a file again, into the mirror, and return where the file is now.

        None where the API cannot tell, or there is nobody to ask it for.
        """
        if self.api is None:
            return None
        with self.database.read() as conn:
            task_id = result_files.latest_naming(conn, url)
        if task_id is None:
            return None
        try:
            document = self.api.task(task_id)
        except ScaleException:
            return None
        with self.database.write() as conn:
            upsert.write_documents(conn, TASKS, [document])
            return result_files.addresses(conn, [url]).get(url)
