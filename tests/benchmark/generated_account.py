"""Serve an account of any size that is kept nowhere: each task is made from its place in order of creation.

A task's project, status and batch follow from its place by arithmetic, so that every total is computed, and a
page costs the same in an account of a thousand tasks and of ten million.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from scalesync.sandbox.filters import ListFilters, Params, query_value, read_filters
from scalesync.sandbox.json_codec import Doc, decode, encode
from scalesync.sandbox.pagination import LIMITED_FIELDS, is_yes, page_of_batches, read_limit
from scalesync.sandbox.switches import Switches
from scalesync.sandbox.timestamps import span_of
from scalesync.sandbox.tokens import make_token, read_token
from tests.benchmark.account import Query
from tests.benchmark.documents import PROJECTS, make_projects
from tests.benchmark.generated_tasks import LAST_UPDATE, PERIOD, TaskMaker, project_at, status_at

_SWITCHES = Switches()
_STATUSES = ("pending", "completed", "error", "canceled")


@dataclass(frozen=True, slots=True)
class Stretch:
    """Places from `low` on and below `high`, of which those at some offsets of each PERIOD are listed."""

    low: int
    high: int
    offsets: Sequence[int]

    def __len__(self) -> int:
        return max(0, self.before(self.high) - self.before(self.low))

    def before(self, place: int) -> int:
        """Return how many places below this one have the offsets."""
        periods, rest = divmod(place, PERIOD)
        return periods * len(self.offsets) + bisect_left(self.offsets, rest)

    def place(self, number: int) -> int:
        """Return the listed place that `number` others come before."""
        periods, rest = divmod(self.before(self.low) + number, len(self.offsets))
        return periods * PERIOD + self.offsets[rest]

    def within(self, low: int, high: int) -> "Stretch":
        """Return the part of it between two places."""
        low, high = max(self.low, low), min(self.high, high)
        return Stretch(low, max(low, high), self.offsets)


@dataclass(frozen=True, slots=True)
class Matches:
    """The places of all matching tasks, oldest first, in stretches that follow each other."""

    stretches: Sequence[Stretch]

    def __len__(self) -> int:
        return sum(map(len, self.stretches))

    def before(self, place: int) -> int:
        """Return how many of them are below a place."""
        return sum(len(each.within(0, place)) for each in self.stretches)

    def newest_first(self, end: int, count: int) -> list[int]:
        """Return up to `count` places, newest first, of the first `end` of them."""
        return list(islice(self._backwards(end), count))

    def _backwards(self, end: int) -> Iterator[int]:
        start = len(self)
        for each in reversed(self.stretches):
            start -= len(each)
            yield from map(each.place, range(min(len(each), end - start) - 1, -1, -1))


class GeneratedAccount:
    """An account's lists, as the sandbox answers them; only `change` changes anything."""

    def __init__(self, tasks: int, seed: int) -> None:
        """Make an account of `tasks` tasks, of which the newest fiftieth is pending."""
        self._maker = TaskMaker(tasks, seed)
        self._count = tasks
        self._pending_from = self._maker.pending_from
        self._batches = sorted(self._make_batches(), key=lambda each: each[:2], reverse=True)
        self._by_name = {name: (project, number) for _, name, project, number in self._batches}
        self._find = lru_cache(maxsize=256)(self._matches)
        self._offsets = lru_cache(maxsize=256)(self._offsets_of)
        self.projects = make_projects()

    @property
    def bytes_per_task(self) -> float:
        """The average of a few tasks."""
        places = range(0, self._count, max(1, self._count // 100))
        return sum(len(self._maker.task(place)) for place in places) / max(1, len(places))

    def change(self, now: int, *, recent: bool = False) -> int:
        """Change one task in a thousand, each time others, and return how many; pending ones are completed.

        With `recent` all of them are among the newest twentieth.
        """
        changed = self._maker.change(now, recent=recent)
        self._find.cache_clear()
        self._offsets.cache_clear()
        return changed

    def page(self, query: Query) -> bytes:
        """Return a page of tasks, newest first, as JSON text."""
        params: Params = {name: (value,) for name, value in query.items() if value}
        filters = read_filters(params, _SWITCHES)
        if filters.type or filters.reviews or filters.tags or filters.completed.bounded:
            raise ValueError(f"a generated account cannot be filtered by one of {sorted(params)}")
        matches, limit = self._find(filters), read_limit(params)
        text, end = query_value(params, "next_token"), len(matches)
        if text:
            token = read_token(text, _SWITCHES, filters="", now=0)
            assert not isinstance(token, int), "tokens name a task"
            end = matches.before(self._place_of_key(*token))
        places = matches.newest_first(end, limit)
        more = end > len(places)
        tail: Doc = {"total": len(matches), "offset": 0, "limit": limit, "has_more": more}
        if more:
            tail["next_token"] = make_token(
                _SWITCHES, last=self._maker.key(places[-1]), offset=0, filters="", now=0
            )
        docs = map(self._maker.task, places)
        if is_yes(params, "limited_response"):
            docs = map(_limited, docs)
        return b'{"docs":[%b],%b' % (b",".join(docs), encode(tail)[1:])

    def _place_of_key(self, created: int, task_id: str) -> int:
        """Return the first place that is not before a key."""
        place = self._maker.first_at(created)
        while place < self._count and self._maker.key(place) < (created, task_id):
            place += 1
        return place

    def _matches(self, filters: ListFilters) -> Matches:
        if filters.unique_ids:
            return self._one_by_one(self._maker.places_named(filters.unique_ids), filters)
        low, high = 0, self._count
        if filters.created.first > 0:
            low = self._maker.first_at(filters.created.first)
        if filters.created.last < LAST_UPDATE:
            high = self._maker.first_at(filters.created.last + 1)
        if filters.updated.bounded:
            # After the last update of the account as it was made, only what changed since can match.
            late = filters.updated.first > LAST_UPDATE
            return self._one_by_one(self._maker.places_changed() if late else range(low, high), filters)
        return self._by_offsets(filters, low, high)

    def _one_by_one(self, places: Iterable[int], filters: ListFilters) -> Matches:
        """Return those places whose task matches, found by a look at each."""
        found = [place for place in places if self._accepts(filters, place)]
        return Matches([Stretch(place, place + 1, (place % PERIOD,)) for place in found])

    def _accepts(self, filters: ListFilters, place: int) -> bool:
        project = project_at(place)
        return (
            (not filters.status or filters.status == self._maker.status(place))
            and (not filters.project or filters.project == project)
            and (not filters.batch or filters.batch == self._maker.batch(place))
            and self._maker.created(place) in filters.created
            and self._maker.updated(place) in filters.updated
        )

    def _by_offsets(self, filters: ListFilters, low: int, high: int) -> Matches:
        if filters.batch:
            project, number = self._by_name.get(filters.batch, ("", -1))
            if number < 0 or filters.project not in {"", project}:
                return Matches(())
            first, behind = self._maker.places_of_batch(project, number)
            low, high = max(low, first), min(high, behind)
        else:
            project = filters.project
        stretches = [
            Stretch(start, end, self._offsets(project, filters.status, pending)).within(low, high)
            for start, end, pending in (
                (0, self._pending_from, False),
                (self._pending_from, self._count, True),
            )
        ]
        return Matches([each for each in stretches if each.offsets and len(each)])

    def _offsets_of(self, project: str, status: str, pending: bool) -> Sequence[int]:
        """Return the offsets in each PERIOD of the tasks of a project and a status; "" accepts all."""
        return [
            offset
            for offset in range(PERIOD)
            if project in {"", project_at(offset)}
            and status in {"", status_at(offset, pending, self._maker.changed)}
        ]

    def task(self, task_id: str) -> bytes | None:
        """Return a task as JSON text, or None if there is none."""
        place = self._maker.place_of(task_id)
        return None if place is None else self._maker.task(place)

    def _make_batches(self) -> Iterator[tuple[int, str, str, int]]:
        """Yield time of creation, name, project and number of each batch."""
        for project in PROJECTS:
            number = 0
            while (first := self._maker.places_of_batch(project, number)[0]) < self._count:
                yield self._maker.created(first), self._maker.batch(first), project, number
                number += 1

    def page_of_batches(self, query: Query) -> Doc:
        """Return a page of batches by offset, newest first."""
        params: Params = {name: (value,) for name, value in query.items() if value}
        created = span_of(query_value(params, "start_time"), query_value(params, "end_time"), "inclusive")
        status = query_value(params, "status")
        found = [
            name
            for at, name, project, _ in self._batches
            if at in created
            and query_value(params, "project") in {"", project}
            and (not status or status == self._batch_status(name))
        ]
        page = page_of_batches([{"name": name} for name in found], params, _SWITCHES)
        return page | {"docs": [self.batch(each["name"]) for each in page["docs"]]}

    def batch(self, name: str) -> Doc | None:
        """Return a batch, or None if there is none."""
        if name not in self._by_name:
            return None
        project, number = self._by_name[name]
        return self._maker.batch_doc(project, number, self._batch_status(name))

    def _batch_status(self, name: str) -> str:
        _, behind = self._maker.places_of_batch(*self._by_name[name])
        if behind <= self._pending_from:
            return "completed"
        return "in_progress" if self._counts(name).get("pending") else "completed"

    def _counts(self, name: str) -> dict[str, int]:
        """Return the numbers of a batch's tasks by status, without zeros."""
        queries = ({"batch": (name,), "status": (status,)} for status in _STATUSES)
        numbers = (len(self._find(read_filters(query, _SWITCHES))) for query in queries)
        return {status: number for status, number in zip(_STATUSES, numbers, strict=True) if number}

    def batch_status(self, name: str) -> Doc | None:
        """Return a batch's status and the counts of its tasks, or None if there is no such batch."""
        if name not in self._by_name:
            return None
        return {"status": self._batch_status(name), **self._counts(name)}

    def project(self, name: str) -> Doc | None:
        """Return a project, or None if there is none."""
        return next((project for project in self.projects if project["name"] == name), None)


def _limited(raw: bytes) -> bytes:
    doc = decode(raw)
    return encode({name: doc[name] for name in LIMITED_FIELDS if name in doc})
