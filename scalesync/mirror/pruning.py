"""Delete old records of the mirror's own past. Works offline."""

from collections.abc import Callable
from datetime import timedelta

from scalesync.errors import ConfigurationError
from scalesync.mirror.connections import Connected
from scalesync.mirror.sync_and_verify import ignore
from scalesync.models.storage import OLD, PrunableKind, PruneProgress, PruneSummary, VacuumStarted
from scalesync.timestamps import parse_duration


class Pruning(Connected):
    """The method of `Mirror` that deletes what is old."""

    def prune(
        self,
        *kinds: str,
        older_than: timedelta | str = OLD,
        yes: bool = False,
        vacuum: bool = False,
        on_event: Callable[[PruneProgress | VacuumStarted], None] = ignore,
    ) -> PruneSummary:
        """Count, or with `yes` delete, old records; return the rows and bytes by table.

        `kinds`: some of runs, attempts, responses and verifications; none: all. `vacuum` then gives the free
        room of an SQLite file back to the disk. Nothing that a sync, a verification or the queue relies on is
        deleted. Raises ConfigurationError for an unknown kind, for a time that is none, and for `vacuum` on
        Postgres, where autovacuum does it.
        """
        from scalesync.db.prune import Pruner, give_free_room_back

        chosen = _kinds(kinds)
        connections = self.connections()
        clock = connections.clock
        try:
            age = parse_duration(older_than) if isinstance(older_than, str) else older_than
            before = clock.now() - age
        except OverflowError:
            age = timedelta(-1)
        if age < timedelta():
            msg = "There is no such age."
            raise ConfigurationError(msg, advice="Write for example 90d.")
        with connections.database() as database:
            if vacuum and not database.is_sqlite:
                msg = "Only an SQLite file is vacuumed here."
                raise ConfigurationError(msg, advice="On Postgres autovacuum does it: leave --vacuum out.")
            pruner = Pruner(database, chosen, before)
            if not yes:
                return PruneSummary(before, False, pruner.count())
            tables = pruner.delete(lambda: clock.over, on_event)
            returned = None
            if vacuum and not clock.over:
                on_event(VacuumStarted())
                returned = give_free_room_back(database, lambda: clock.over)
            return PruneSummary(before, True, tables, clock.over, returned)


def _kinds(given: tuple[str, ...]) -> list[PrunableKind]:
    """Return the kinds by these names, all of them for none. Raises ConfigurationError for another name."""
    for name in given:
        if name not in set(PrunableKind):
            msg = f"There is nothing to prune by the name {name!r}."
            raise ConfigurationError(msg, advice=f"Use {', '.join(PrunableKind)}.")
    return [kind for kind in PrunableKind if kind in given or not given]
