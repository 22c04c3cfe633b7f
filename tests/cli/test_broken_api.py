"""An API that contradicts itself, and texts that no database can hold."""

import json
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import msgspec
import pytest

from tests.support.cli_process import Scalesync, check_refusal, execute
from tests.support.static_list_api import StaticListApi, Tasks, page, task

TWO = (task(2), task(1))


def never_ending(_: Mapping[str, str]) -> object:
    """Give the same token with every page."""
    return page(*TWO, total=4, has_more=True, next_token="again")


def empty_with_token(_: Mapping[str, str]) -> object:
    """Give a token on an empty page."""
    return page(total=2, has_more=True, next_token="more")


def more_without_token(_: Mapping[str, str]) -> object:
    """Promise more and give no token."""
    return page(*TWO, total=4, has_more=True)


def too_few(_: Mapping[str, str]) -> object:
    """Count more than comes."""
    return page(*TWO, total=3)


def without_key(query: Mapping[str, str]) -> object:
    """Send a task without its id, but for the first look."""
    return page(TWO[0]) if query.get("limit") == "1" else page({"type": "annotation"}, total=1)


def without_list(_: Mapping[str, str]) -> object:
    """Leave the list out."""
    return {"total": 2, "has_more": False}


def not_json(_: Mapping[str, str]) -> object:
    """Answer with a page of HTML."""
    return b"<html>Be right back</html>"


@contextmanager
def against(tasks: Tasks, scalesync: Scalesync) -> Iterator[tuple[StaticListApi, Scalesync]]:
    """Yield an API that answers with these tasks, and commands that ask it."""
    with StaticListApi(tasks) as api:
        yield api, scalesync.having(SCALESYNC_API_URL=api.url, SCALESYNC_PATIENCE="1s")


@pytest.mark.parametrize(
    ("tasks", "code", "words"),
    [
        (never_ending, 1, "same page token twice"),
        (empty_with_token, 1, "on an empty one"),
        (more_without_token, 1, "gives no token"),
        (too_few, 1, "2 rows came where the API counts 3"),
        (without_key, 1, "without a usable task_id"),
        (without_list, 4, "/tasks"),
        (not_json, 4, "/tasks"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_contradictory_answer_is_never_called_complete(
    tasks: Tasks, code: int, words: str, empty_mirror: Scalesync
) -> None:
    """The run ends, says why, moves no watermark, and the next one against a sane API is complete."""
    with against(tasks, empty_mirror) as (api, ready):
        done = ready("sync")
        moved = execute(ready.mirror, "SELECT * FROM watermarks")
        api.tasks = lambda _: page(*TWO)
        cured = ready("sync", "--json")

    check_refusal(done, code, words, "again")
    assert "another process" not in done.err
    assert moved == []
    assert (cured.code, cured.json["complete"]) == (0, True)


def storable(text: str, count: int) -> list[dict[str, object]]:
    """Return tasks that hold a text in many places, and numbers and fields that nobody expects."""
    return [
        task(
            number,
            type="a type of next year",
            instruction=text,
            metadata={"deep": [{text: text}]},
            unexpected={"numbers": [1e20, -0.5, 12345678901234567890], "nothing": None},
        )
        for number in range(count)
    ]


def test_any_text_is_kept_or_counted(empty_mirror: Scalesync, postgres_url: str) -> None:
    """U+0000 and lone surrogates end with 0, become U+FFFD on both databases, and are counted."""
    body = b'{"docs":[%s],"total":1,"has_more":false}' % msgspec.json.encode(task(1)).replace(
        b'"annotation"', b'"annotation","instruction":"a\\u0000b\\ud800c","note":"\\udc00"'
    )
    with against(lambda _: body, empty_mirror) as (_, sqlite):
        for ready in (sqlite, sqlite.having(SCALESYNC_DB=postgres_url)):
            done = ready("sync")
            document = ready("export", "tasks").lines[0]

            assert (done.code, "3 characters that no database can hold" in done.out) == (0, True), done.out
            assert (document["instruction"], document["note"]) == ("a\ufffdb\ufffdc", "\ufffd")


def test_large_and_unknown_tasks_come_back_as_they_were(empty_mirror: Scalesync, postgres_url: str) -> None:
    """A task of 3 MB, and one of a type and with fields that nobody heard of."""
    large, strange = task(1, response={"annotations": ["é" * 1_500_000]}), storable('\u2028 ☃ \\ "', 1)[0]
    with against(lambda _: page(large, strange), empty_mirror) as (_, sqlite):
        for ready in (sqlite, sqlite.having(SCALESYNC_DB=postgres_url)):
            assert ready("sync").code == 0
            kept = ready("export", "tasks").lines

            assert sorted([large, strange], key=lambda each: str(each["task_id"])) == kept


def test_a_number_beyond_every_float_is_no_hindrance(empty_mirror: Scalesync, postgres_url: str) -> None:
    """Lists, exports and questions go on; the document is given back as it came."""
    at = '"2026-01-01T00:00:01.000Z"'
    odd = f'{{"task_id": "{1:024x}", "type": "imageannotation", "status": "completed", "created_at": {at},'
    odd += ' "metadata": {"a": 1e400, "b": 123456789012345678901234567890}, "response": {"annotations": ['
    odd += '{"type": "box", "label": "car", "left": 1e400, "top": 2, "width": 3, "height": 4}]}}'
    usual = json.dumps(page(task(2)))
    body = usual.replace('"docs": [', f'"docs": [{odd}, ').replace('"total": 1', '"total": 2').encode()

    def listed(query: Mapping[str, str]) -> object:
        return (
            body
            if max(query.get("start_time", ""), query.get("updated_after", "")) < "2026-01-02"
            else page()
        )

    with against(listed, empty_mirror) as (_, sqlite):
        for ready in (sqlite, sqlite.having(SCALESYNC_DB=postgres_url)):
            assert ready("sync").code == 0
            for command in (
                "task list", "task list --fields task_id,metadata.a", "task list --json", "export tasks",
                "export annotations --format csv", "export tasks --format coco", "verify", "verify --deep",
                "export tasks --format fiftyone", "export annotations", "sql 'SELECT * FROM tasks'",
            ):  # fmt: skip
                done = ready(*shlex.split(command))
                assert (done.code, "Traceback" in done.err) == (0, False), (command, done.err)
            assert len(ready("task", "list").out.splitlines()) == 3
