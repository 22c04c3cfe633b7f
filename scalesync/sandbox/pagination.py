"""Split lists into pages: tasks by token, batches by offset."""

import random
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from scalesync.sandbox.errors import HttpError
from scalesync.sandbox.filters import Matches, Params, find, query_value, read_filters
from scalesync.sandbox.json_codec import Doc, decode, encode
from scalesync.sandbox.switches import Switches
from scalesync.sandbox.tasks import Key, TaskRecord, TaskStore
from scalesync.sandbox.tokens import Position, make_offset_token, make_token, read_offset_token, read_token

LIMITED_FIELDS = ("task_id", "status", "metadata", "project", "otherVersion")
"""The fields of a task in a `limited_response` (official client)."""


@dataclass(frozen=True, slots=True)
class Slice:
    """The tasks of one page, newest first, and its place in the list."""

    keys: Sequence[Key]
    offset: int
    """How many tasks of the list precede the page."""
    remaining: int
    """How many tasks follow it."""


class TaskLister:
    """Answers `GET /tasks` from one store."""

    def __init__(self, store: TaskStore, switches: Switches, rng: random.Random) -> None:
        self._store = store
        self._switches = switches
        self._rng = rng
        # Most pages follow another of the same list. By the version, so that a write between two pages
        # is in the next page, as at the API.
        self._find = lru_cache(maxsize=64)(lambda _version, filters: find(store, filters))

    def answer(self, params: Params, now: int) -> bytes:
        """Return a page of tasks as JSON text, newest first by created_at, then by id.

        Its fields are `{docs, total, offset, limit, has_more, next_token?}` (recorded). `now` is in
        milliseconds. Raises HttpError 400 for a bad parameter.
        """
        matches = self._find(self._store.version, read_filters(params, self._switches))
        limit, filters = read_limit(params), _filters_of(params)
        text = query_value(params, "next_token")
        token = read_token(text, self._switches, filters=filters, now=now) if text else None
        page = self._slice(matches, token, limit, _integer(params, "offset"))
        tail: Doc = {
            "total": self._total(len(matches)),
            # With a token the offset is 0 on every page: clients cannot count by it.
            "offset": page.offset if token is None else 0,
            "limit": limit,
            "has_more": page.remaining > 0,
        }
        # No token on the last page: clients end a list by its absence and not by an empty page.
        if page.remaining > 0:
            given = page.offset + len(page.keys)
            tail["next_token"] = make_token(
                self._switches, last=page.keys[-1], offset=given, filters=filters, now=now
            )
        docs = (self._text(self._store[task_id], params) for _, task_id in page.keys)
        return b'{"docs":[' + b",".join(docs) + b"]," + encode(tail)[1:]

    def _slice(self, matches: Matches, token: Position | None, limit: int, offset: int) -> Slice:
        end = matches.high - offset
        # Behind a number of tasks: one created since then moves all others, and one is given twice.
        if isinstance(token, int):
            end = matches.high - token
        elif token is not None:
            # The token names a task, not a number of tasks: what came or went since moves nothing. A tie
            # that is cut by the page's end goes on behind its last id, or is lost if ids are not compared.
            after: Key = (token[0], "") if self._switches.ties == "skipped" else token
            end = bisect_left(matches.keys, after, matches.low, matches.high)
        end = max(end, matches.low)
        if self._switches.ties == "shuffled":
            return self._shuffled(matches, end, limit)
        start = max(matches.low, end - limit)
        remaining = self._reachable_after(matches, start, end)
        return Slice(matches.keys[start:end][::-1], matches.high - end, remaining)

    def _reachable_after(self, matches: Matches, start: int, end: int) -> int:
        """Return how many tasks the page's token leads to."""
        # If the next page skips the rest of a tie, a token must not be promised for that rest alone.
        if start == end or self._switches.ties != "skipped":
            return start - matches.low
        return bisect_left(matches.keys, (matches.keys[start][0], ""), matches.low, start) - matches.low

    def _shuffled(self, matches: Matches, end: int, limit: int) -> Slice:
        keys = matches.keys
        start = max(matches.low, end - limit)
        # Extended to the whole oldest tie before it is shuffled and cut. The token then names the last task
        # given, so that the tasks of the tie with higher ids which were cut off are never given.
        if start < end:
            start = bisect_left(keys, (keys[start][0], ""), matches.low, end)
        page: list[Key] = []
        for _, tie in groupby(reversed(keys[start:end]), key=lambda key: key[0]):
            group = list(tie)
            self._rng.shuffle(group)
            page += group
        page = page[:limit]
        remaining = bisect_left(keys, page[-1], matches.low, matches.high) - matches.low if page else 0
        return Slice(page, matches.high - end, remaining)

    def _total(self, matching: int) -> int:
        # Wrong totals on purpose: a client that ends a list by its total alone loses tasks or never ends.
        if self._switches.total == "capped":
            return min(matching, self._switches.total_cap)
        if self._switches.total == "over" and matching:
            return matching + 1 + matching // 50
        return matching

    def _text(self, task: TaskRecord, params: Params) -> bytes:
        if is_yes(params, "limited_response"):
            doc = task.doc()
            return encode({name: doc[name] for name in LIMITED_FIELDS if name in doc})
        asked = is_yes(params, "include_attachment_url")
        return render_task(task, self._rng, signed=asked or self._switches.presigned_urls == "always")


def render_task(task: TaskRecord, rng: random.Random, *, signed: bool) -> bytes:
    """Return a task as JSON text; `signed` adds URLs of its attachments that differ at each read.

    Their field is recorded, the shape of its elements assumed.
    """
    if not signed or b'"attachment' not in task.raw:
        return task.raw
    params = decode(task.raw)["params"]
    attachments = params.get("attachments") or [params.get("attachment")]
    links = [
        {"s3URL": f"{url}?X-Amz-Expires=43200&X-Amz-Signature={rng.getrandbits(256):064x}"}
        for url in attachments
        if isinstance(url, str)
    ]
    return task.raw[:-1] + b',"attachmentS3Downloads":' + encode(links) + b"}"


def page_of_batches(batches: Sequence[Doc], params: Params, switches: Switches) -> Doc:
    """Return one page of `batches`, which are newest first, by offset, with the documented fields."""
    limit, offset = read_limit(params), _integer(params, "offset")
    token = query_value(params, "next_token")
    if token and switches.batches_next_token:
        offset = read_offset_token(token)
    # By offset, a batch created between two pages shifts the list: clients must expect one twice.
    docs, end = batches[offset : offset + limit], offset + limit
    has_more = end < len(batches)
    answer: Doc = {
        "docs": docs,
        "totalDocs": len(batches),
        "limit": limit,
        "offset": offset,
        "has_more": has_more,
        "totalPages": -(-len(batches) // limit),
        "hasNextPage": has_more,
        "nextPage": end // limit + 1 if has_more else None,
    }
    if has_more and switches.batches_next_token:
        answer["next_token"] = make_offset_token(end)
    return answer


def read_limit(params: Params) -> int:
    """Return the page size, by default 100; raises HttpError 400 outside of 1 to 100 (documented)."""
    limit = _integer(params, "limit", default=100)
    if not 1 <= limit <= 100:
        raise HttpError(400, "limit must be between 1 and 100.")
    return limit


def is_yes(params: Params, name: str) -> bool:
    """Return whether a flag of the query is set; the official client sends Python's `True`."""
    return query_value(params, name).lower() in {"true", "1", "yes"}


def _integer(params: Params, name: str, default: int = 0) -> int:
    text = query_value(params, name)
    if not text:
        return default
    if not text.isdecimal():
        raise HttpError(400, f"{name} must be a whole number.")
    return int(text)


def _filters_of(params: Params) -> str:
    """Return a query as text, without the parameters that may differ from page to page."""
    paging = {"next_token", "limit", "offset"}
    return repr(sorted((name, *values) for name, values in params.items() if name not in paging))
