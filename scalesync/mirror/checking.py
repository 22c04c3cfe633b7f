"""Search the mirror for annotations that look wrong, by the rules of the view `annotation_findings`."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Unpack

from scalesync.errors import ConfigurationError
from scalesync.mirror.connections import Connected
from scalesync.models.findings import (
    DEFAULT_IOU,
    Finding,
    FindingRule,
    FindingsProgress,
    UnseenAnnotations,
)
from scalesync.models.selection import Selection, TaskFilters, selection_of


class Checking(Connected):
    """Methods of `Mirror` that search for findings. They work offline."""

    def findings(
        self,
        *rules: str,
        iou: float = DEFAULT_IOU,
        on_event: Callable[[FindingsProgress], None] | None = None,
        **filters: Unpack[TaskFilters],
    ) -> Iterator[Finding]:
        """Yield findings by some rules, or by all, ordered by task and annotation, in one transaction.

        Filters choose tasks, but `limit` limits findings. `iou` is that of `overlap`, above 0 to 1. What
        cannot be searched is in `findings_unseen`. Raises ConfigurationError for an unknown rule.
        """
        wanted = selection_of(filters, self.connections().clock.now())
        return self.search_findings(rules, wanted, iou, on_event)

    def findings_unseen(self, **filters: Unpack[TaskFilters]) -> UnseenAnnotations:
        """Return what `findings` with these filters cannot have looked at."""
        return self.unseen_in(selection_of(filters, self.connections().clock.now()))

    def search_findings(
        self,
        rules: tuple[str, ...],
        wanted: Selection,
        iou: float = DEFAULT_IOU,
        on_event: Callable[[FindingsProgress], None] | None = None,
    ) -> Iterator[Finding]:
        """Yield the findings in a selection of tasks; see `findings`."""
        # Checked here and not in the generator, which would raise only at its first item.
        unknown = [rule for rule in rules if rule not in set(FindingRule)]
        if unknown:
            msg = f"There is no rule {unknown[0]!r}."
            raise ConfigurationError(msg, advice=f"Use {', '.join(FindingRule)}.")
        if not 0 < iou <= 1:
            msg = f"The intersection over union {iou!r} is not above 0 and at most 1."
            raise ConfigurationError(msg, advice="Use a number such as 0.9.")
        chosen = tuple(rule for rule in FindingRule if rule in rules or not rules)
        return self._search(chosen, wanted, iou, on_event)

    def unseen_in(self, wanted: Selection) -> UnseenAnnotations:
        """Return what a search in a selection of tasks cannot have looked at."""
        from scalesync.db.export import findings

        with self.connections().database() as database, database.read() as conn:
            return findings.unseen(conn, replace(wanted, limit=None))

    def _search(
        self,
        rules: tuple[FindingRule, ...],
        wanted: Selection,
        iou: float,
        on_event: Callable[[FindingsProgress], None] | None,
    ) -> Iterator[Finding]:
        from scalesync.db.export import findings

        asked = findings.FindingsQuery(rules, iou, wanted)
        with self.connections().database() as database, database.read_within(None) as conn:
            for found in findings.findings(conn, asked):
                if isinstance(found, Finding):
                    yield found
                elif on_event is not None:
                    on_event(found)
