"""Aggregates of the mirror's tasks for its pages and its report. Works offline."""

from typing import TYPE_CHECKING

from scalesync.mirror.connections import Connected
from scalesync.models.selection import check_name, selection_of
from scalesync.timestamps import When, instant_of

if TYPE_CHECKING:
    # Only pages, the report and these methods need them.
    from scalesync.models.overview import Overview, OverviewMark, SampleTask


class Overviews(Connected):
    """Methods of `Mirror` that count tasks per day, week, project, label and batch."""

    def overview(self, *, project: str | None = None, since: When | None = None) -> "Overview":
        """Return counts per day, week, project, label and batch, as the first page and the report show them.

        `project`: only of this one. `since`: days and weeks from then on; of all else, tasks and batches
        created since. Reads every task in one transaction: a million take some 15 seconds. Raises
        ConfigurationError for an empty name or a time that is none.
        """
        from scalesync.db.mirror import overview

        if project is not None:
            check_name("project", project)
        connections = self.connections()
        now = connections.clock.now()
        first = None if since is None else instant_of(since, now)
        with connections.database() as database, database.read_within(None) as conn:
            return overview.overview(conn, project, first, now)

    def overview_mark(self) -> "OverviewMark":
        """Return the last change that the mirror has seen, within milliseconds.

        It is compared with the one read before an overview was: if it is another, tasks have changed since.
        """
        from scalesync.db.mirror import overview

        with self.connections().database() as database, database.read() as conn:
            return overview.mark(conn)

    def samples(
        self, number: int, *, project: str | None = None, since: When | None = None
    ) -> "list[SampleTask]":
        """Return the `number` newest tasks with shapes, with their annotations; fewer if there are no more.

        `project`: only of this one; `since`: created since.
        """
        from scalesync.db.mirror import overview, page_rows
        from scalesync.models.overview import SHAPES, SampleTask

        connections = self.connections()
        wanted = selection_of({"project": project, "since": since}, connections.clock.now())
        with connections.database() as database, database.read() as conn:
            chosen = overview.drawn_tasks(conn, wanted, number)
            drawn = page_rows.first_annotations(conn, list(chosen), SHAPES)
            return [
                SampleTask(task_id, of, drawn[task_id], page_rows.annotation_count(conn, task_id))
                for task_id, of in chosen.items()
            ]
