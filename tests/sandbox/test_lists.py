"""What the lists of tasks, batches and projects answer, held against a plain look at all documents."""

import base64
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from scalesync.sandbox import SandboxServer
from scalesync.sandbox.backend import Backend
from scalesync.sandbox.options import SandboxOptions
from tests.support.sandboxes import LIVE

Doc = dict[str, Any]
Query = Mapping[str, Any]

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

BACKEND = Backend(SandboxOptions(tasks=600), clock=lambda: NOW)
BACKEND.churn(400)
DOCS: list[Doc] = [json.loads(raw) for raw in BACKEND.documents("tasks")]


def get(server: SandboxServer, path: str, **params: Any) -> Any:
    """Return the JSON that a path answers to a live key."""
    answer = requests.get(server.url + path, params=params, auth=LIVE, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(server: SandboxServer, path: str, **params: Any) -> str:
    """Return the words with which a request is refused as 400."""
    answer = requests.get(server.url + path, params=params, auth=LIVE, timeout=10)
    assert (answer.status_code, answer.json()["status_code"]) == (400, 400)
    return str(answer.json()["error"])


def walk(server: SandboxServer, **params: Any) -> list[Doc]:
    """Return all pages of tasks, one after the other."""
    docs: list[Doc] = []
    page = {"has_more": True, "next_token": ""}
    while page["has_more"]:
        page = get(server, "/tasks", **params, next_token=page["next_token"])
        docs += page["docs"]
    return docs


def order(doc: Doc) -> tuple[str, str]:
    """Return what the list is ordered by, newest first."""
    return doc["created_at"], doc["task_id"]


def instant(text: str) -> datetime:
    """Return the instant of a document or a query; naive means UTC."""
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def between(field: str, low: str, high: str) -> Callable[[Doc, Query], bool]:
    """Return the check that a document's instant lies within two inclusive bounds of a query."""

    def check(doc: Doc, query: Query) -> bool:
        first, last = query.get(low), query.get(high)
        if first is None and last is None:
            return True
        if not doc.get(field):
            return False
        at = instant(doc[field])
        return (first is None or at >= instant(first)) and (last is None or at <= instant(last))

    return check


CHECKS: list[Callable[[Doc, Query], bool]] = [
    between("created_at", "start_time", "end_time"),
    between("updated_at", "updated_after", "updated_before"),
    between("completed_at", "completed_after", "completed_before"),
    *(
        (lambda doc, query, name=name: name not in query or doc.get(name) == query[name])
        for name in ("status", "type", "project", "batch")
    ),
    lambda doc, query: not query.get("unique_id") or doc.get("unique_id") in query["unique_id"],
    lambda doc, query: not query.get("tags") or bool(set(query["tags"]) & set(doc.get("tags") or ())),
    lambda doc, query: (
        "customer_review_status" not in query
        or doc.get("customer_review_status") in query["customer_review_status"].split(",")
    ),
]
"""Every filter of scale_api.md in its plainest form."""


def values(field: str) -> st.SearchStrategy[Any]:
    """Return values of a field that occur in the account."""
    return st.sampled_from(sorted({doc[field] for doc in DOCS if doc.get(field)}))


INSTANTS = st.one_of(values("created_at"), values("updated_at"), values("completed_at"))

QUERIES = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("start_time", "end_time", "updated_after", "updated_before"), INSTANTS),
        **dict.fromkeys(("completed_after", "completed_before"), INSTANTS),
        **{name: values(name) for name in ("status", "type", "project", "batch")},
        "unique_id": st.lists(values("unique_id"), min_size=1, max_size=3),
        "tags": st.lists(st.sampled_from(["night", "Regen", "再"]), min_size=1, max_size=2),
        "customer_review_status": st.sampled_from(["accepted", "fixed,rejected", "pending"]),
    },
)


@settings(max_examples=300, deadline=None)
@given(query=QUERIES, limit=st.integers(1, 100))
def test_every_combination_of_filters_agrees_with_a_plain_look(query: Doc, limit: int) -> None:
    """Whatever the filters, the pages hold exactly the documents that satisfy each, newest first."""
    expected = [doc for doc in sorted(DOCS, key=order, reverse=True) if all(c(doc, query) for c in CHECKS)]
    params = {name: value if isinstance(value, list) else [value] for name, value in query.items()}
    found: list[Doc] = []
    token = ""
    for _ in range(len(expected) // limit + 1):
        asked = {**params, "limit": [str(limit)], **({"next_token": [token]} if token else {})}
        page = json.loads(BACKEND.live.lister.answer(asked, BACKEND.now()))
        assert page["total"] == len(expected)
        found += page["docs"]
        token = page.get("next_token", "")
        assert page["has_more"] is bool(token)
        if not token:
            break
    assert found == expected


def test_what_is_pending_is_known_without_looking() -> None:
    """After many changes the tasks that annotators may take are exactly the pending ones."""
    assert set(BACKEND.live.tasks.pending) == {doc["task_id"] for doc in DOCS if doc["status"] == "pending"}


def test_a_walk_gives_every_task_once_newest_first(shared_sandbox: SandboxServer) -> None:
    """All pages together are all documents by created_at and then id, even in ties larger than a page."""
    docs = walk(shared_sandbox, limit=25)
    assert docs == sorted(docs, key=order, reverse=True)
    assert docs == [json.loads(raw) for raw in shared_sandbox.backend.documents("tasks")]
    created = [doc["created_at"] for doc in docs]
    assert max(created.count(at) for at in set(created)) > 2 * 25


def test_a_page_has_the_recorded_fields(shared_sandbox: SandboxServer) -> None:
    """A page says total, offset, limit and has_more; its token is the last task's id and created_at."""
    page = get(shared_sandbox, "/tasks", limit=3)
    assert {**page, "docs": [], "next_token": ""} == {
        "docs": [],
        "total": 1000,
        "offset": 0,
        "limit": 3,
        "has_more": True,
        "next_token": "",
    }
    last = page["docs"][-1]
    token = json.loads(base64.b64decode(page["next_token"]))
    assert token == {"id": last["task_id"], "created_at": last["created_at"]}
    assert "next_token" not in get(shared_sandbox, "/tasks", status="error")


def test_the_deprecated_offset_still_pages(shared_sandbox: SandboxServer) -> None:
    """A limit and an offset give the same pages as tokens (recorded in 2019)."""
    docs = walk(shared_sandbox)
    page = get(shared_sandbox, "/tasks", limit=2, offset=998)
    assert (page["docs"], page["offset"], page["has_more"]) == (docs[998:], 998, False)


def test_parameters_without_a_value_are_not_sent(shared_sandbox: SandboxServer) -> None:
    """An empty status, type or time asks for nothing (recorded in 2019)."""
    page = get(shared_sandbox, "/tasks?callback_url&end_time&start_time&status&type&next_token=&limit=1")
    assert page["total"] == 1000


@pytest.mark.parametrize(
    "spelling", ["2026-03-01", "2026-03-01 12:00:00.000001", "2026-03-01T13:00:00+01:00"]
)
def test_times_are_taken_in_every_iso_form(shared_sandbox: SandboxServer, spelling: str) -> None:
    """Dates, naive times in UTC and times with an offset are accepted."""
    expected = [doc for doc in walk(shared_sandbox) if instant(doc["created_at"]) >= instant(spelling)]
    assert get(shared_sandbox, "/tasks", start_time=spelling)["total"] == len(expected)


@pytest.mark.parametrize(
    "params",
    [
        {"limit": 0},
        {"limit": 101},
        {"limit": "ten"},
        {"next_token": "garbage"},
        {"next_token": base64.b64encode(b"[]").decode()},
        {"status": "done"},
        {"customer_review_status": "accepted,perhaps"},
        {"start_time": "yesterday"},
    ],
    ids=str,
)
def test_bad_parameters_are_400(shared_sandbox: SandboxServer, params: Query) -> None:
    """A limit outside 1 to 100, a token or a value that does not exist are refused."""
    assert refused(shared_sandbox, "/tasks", **params)


def test_tasks_of_2019_hide_from_updated_at(shared_sandbox: SandboxServer) -> None:
    """A few old tasks have no updated_at, project or batch, and no filter on updated_at shows them."""
    docs = walk(shared_sandbox)
    old = [doc for doc in docs if "updated_at" not in doc]
    assert {doc["created_at"][:4] for doc in old} == {"2019"}
    assert get(shared_sandbox, "/tasks", updated_after="1970-01-01")["total"] == len(docs) - len(old)


def test_batches_page_by_offset(shared_sandbox: SandboxServer) -> None:
    """A page of batches has the documented counters and no next_token; pages go from newest to oldest."""
    everything = get(shared_sandbox, "/batches")["docs"]
    assert everything == [json.loads(raw) for raw in shared_sandbox.backend.documents("batches")]
    assert everything == sorted(everything, key=lambda batch: batch["created_at"], reverse=True)
    page = get(shared_sandbox, "/batches", limit=4, offset=4)
    total = len(everything)
    assert page == {
        "docs": everything[4:8],
        "totalDocs": total,
        "limit": 4,
        "offset": 4,
        "has_more": True,
        "totalPages": -(-total // 4),
        "hasNextPage": True,
        "nextPage": 3,
    }
    last = get(shared_sandbox, "/batches", limit=4, offset=total - 1)
    assert (last["has_more"], last["hasNextPage"], last["nextPage"]) == (False, False, None)
    assert refused(shared_sandbox, "/batches", status="open")


def test_projects_are_one_bare_list(shared_sandbox: SandboxServer) -> None:
    """GET /projects is an array with every version of each project; archived ones can be asked for."""
    projects = get(shared_sandbox, "/projects")
    assert projects == [json.loads(raw) for raw in shared_sandbox.backend.documents("projects")]
    assert {len(project["param_history"]) for project in projects} >= {0, 2, 4}
    archived = get(shared_sandbox, "/projects", archived="true")
    assert [project["name"] for project in archived] == ["Legacy boxes"]
    assert len(get(shared_sandbox, "/projects", archived="false")) == len(projects) - 1


def test_the_date_of_an_answer_is_there_and_bodies_are_compressed(shared_sandbox: SandboxServer) -> None:
    """Every answer is dated; gzip is used when asked for, and only then."""
    zipped = requests.get(f"{shared_sandbox.url}/tasks", auth=LIVE, timeout=10)
    plain = requests.get(
        f"{shared_sandbox.url}/tasks", auth=LIVE, timeout=10, headers={"Accept-Encoding": "identity"}
    )
    assert (zipped.headers["content-encoding"], plain.headers.get("content-encoding")) == ("gzip", None)
    assert zipped.json() == plain.json()
    assert zipped.headers["date"]
    assert requests.get(f"{shared_sandbox.url}/nothing", timeout=10).headers["date"]
