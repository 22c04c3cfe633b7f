"""Changes of what exists, from the command line: offline, all or nothing."""

import json
from pathlib import Path

import pytest

from tests.support.cli_process import Scalesync, check_refusal, execute


@pytest.fixture
def offline(empty_mirror: Scalesync) -> Scalesync:
    """Return what runs commands beside an empty mirror, without a key and with an API that is not there."""
    return empty_mirror.having(SCALE_API_KEY=None, SCALESYNC_API_URL="http://127.0.0.1:9/v1")


def _queued(scalesync: Scalesync) -> list[tuple[str, str, dict[str, object]]]:
    """Return kind, resource and payload of all commands, without what is not given; oldest first."""
    rows = execute(scalesync.mirror, "SELECT kind, resource, payload FROM commands ORDER BY id")
    return [
        (str(kind), str(resource), {k: v for k, v in json.loads(str(payload)).items() if v is not None})
        for kind, resource, payload in rows
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("task", "audit", "t"), "--accept or --reject"),
        (("task", "audit", "t", "--accept", "--reject"), "--accept or --reject"),
        (("task", "audit", "--accept"), "exactly one of the two"),
        (("task", "audit", "t", "--unique-id", "u", "--accept"), "exactly one of the two"),
        (("task", "tag", "t"), "in one way"),
        (("task", "tag", "t", "--set", "a", "--add", "b"), "in one way"),
        (("task", "tag", "t", "--clear", "--remove", "b"), "in one way"),
        (("task", "tag", "t", "--add", "a", "--remove", "a"), "'a' is added and removed"),
        (("task", "tag", "t", "--add", ""), "--add"),
        (("task", "set-metadata", "t"), "--metadata"),
        (("task", "set-metadata", "t", "--metadata", "[1]"), "is not a JSON object"),
        (("task", "set-metadata", "t", "--metadata", "null"), "is not a JSON object"),
        (("task", "set-metadata", "t", "--metadata", '{"a":' + "[" * 5000 + "]" * 5000 + "}"), "too deeply"),
        (("task", "create", "annotation", "metadata:=" + "[" * 5000 + "]" * 5000), "too deeply"),
        (("file", "import", "file:///etc/passwd"), "is not a URL"),
        (("file", "import", "https://"), "is not a URL"),
        (("file", "import", "https://a b"), "is not a URL"),
        (("task", "set-unique-id", "t"), "--to"),
        (("task", "set-unique-id", "--to", "new"), "exactly one of the two"),
        (("task", "set-unique-id", "t", "--to", ".."), "cannot be sent"),
        (("task", "clear-unique-id"), "exactly one of the two"),
        (("batch", "set-metadata", "b"), "--metadata"),
        (("batch", "set-metadata", "b", "--metadata", "{"), "not JSON"),
    ],
    ids=" ".join,
)
def test_bad_input_ends_with_2_and_queues_nothing(
    arguments: tuple[str, ...], words: str, offline: Scalesync
) -> None:
    """One clear sentence each."""
    check_refusal(offline(*arguments), 2, words)

    assert _queued(offline) == []


def test_what_is_queued_is_what_was_asked_for(offline: Scalesync) -> None:
    """For each task that is named, in order; the mirror's name of a task orders it behind its create."""
    execute(
        offline.mirror,
        "INSERT INTO tasks (task_id, unique_id, digest, synced_at) VALUES ('t2', 'u2', '', '2026-01-01')",
    )
    for arguments in (
        ("task", "audit", "t1", "t2", "--reject", "--comments", "Too wide."),
        ("task", "tag", "--unique-id", "u1", "--add", "a", "--add", "b", "--remove", "c"),
        ("task", "tag", "t1", "--clear"),
        ("task", "set-metadata", "t1", "--metadata", '{"n": 1}'),
        ("task", "set-unique-id", "t1", "--to", "new"),
        ("task", "clear-unique-id", "--unique-id", "u1"),
        ("task", "send-callback", "t2"),
        ("batch", "set-metadata", "b", "--metadata", "{}"),
    ):
        done = offline(*arguments)
        assert done.code == 0, done

    review = {"accepted": False, "comments": "Too wide."}
    assert _queued(offline) == [
        ("audit_task", "task#t1", {"task_id": "t1", **review}),
        ("audit_task", "task:u2", {"task_id": "t2", "unique_id": "u2", **review}),
        ("add_task_tags", "task:u1", {"unique_id": "u1", "tags": ["a", "b"]}),
        ("delete_task_tags", "task:u1", {"unique_id": "u1", "tags": ["c"]}),
        ("set_task_tags", "task#t1", {"task_id": "t1", "tags": []}),
        ("set_task_metadata", "task#t1", {"task_id": "t1", "metadata": {"n": 1}}),
        ("update_task_unique_id", "task#t1", {"task_id": "t1", "new_unique_id": "new"}),
        ("clear_task_unique_id", "task:u1", {"unique_id": "u1"}),
        ("send_callback", "task:u2", {"task_id": "t2", "unique_id": "u2"}),
        ("set_batch_metadata", "batch:b", {"name": "b", "metadata": {}}),
    ]


def test_changes_of_several_tasks_are_queued_together_or_not_at_all(offline: Scalesync) -> None:
    """The second name is too long: the first is not queued either."""
    check_refusal(offline("task", "audit", "t1", "x" * 2_001, "--accept"), 2, "2,001 bytes")

    assert _queued(offline) == []
    printed = json.loads(offline("task", "audit", "t1", "t2", "--accept", "--json").out)
    assert printed["queued"] == [1, 2]


def test_a_file_that_is_no_text_is_no_metadata(offline: Scalesync, tmp_path: Path) -> None:
    """One sentence says so."""
    (tmp_path / "bad.json").write_bytes(b'{"a": 1}\xff')
    done = offline("task", "set-metadata", "t", "--metadata", str(tmp_path / "bad.json"))
    check_refusal(done, 2, "is not text in UTF-8")


def test_a_task_that_is_named_twice_is_reviewed_once(offline: Scalesync) -> None:
    """A review is applied as often as it is sent."""
    assert offline("task", "audit", "t", "t", "--accept").code == 0
    assert offline("task", "send-callback", "t", "t").code == 0
    assert [kind for kind, _, _ in _queued(offline)] == ["audit_task", "send_callback"]
