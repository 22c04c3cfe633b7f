"""Files, from the command line: offline, with what is given."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_task_changes import offline  # noqa: F401 - a fixture
from tests.support.cli_process import Scalesync, check_refusal, execute


def _payloads(scalesync: Scalesync) -> list[tuple[Any, ...]]:
    rows = execute(scalesync.mirror, "SELECT kind, resource, depends_on, payload FROM commands ORDER BY id")
    return [(*row[:3], json.loads(str(row[3]))) for row in rows]


def test_files_are_queued_with_their_fields(offline: Scalesync, tmp_path: Path) -> None:  # noqa: F811
    """The same file twice is one command; only its place and digest are queued."""
    picture = tmp_path / "1.jpg"
    picture.write_bytes(b"bytes")
    fields = ("--reference-id", "one", "--project", "P", "--display-name", "One", "--metadata", '{"n": 1}')
    for _ in range(2):
        done = offline("file", "upload", str(picture), *fields)
        assert done.code == 0, done
    assert offline("file", "import", "https://example.com/1.jpg", "--json").json["queued"] == [2]

    uploaded, imported = _payloads(offline)
    body = {"reference_id": "one", "project_name": "P", "display_name": "One", "metadata": {"n": 1}}
    digest = "277089d91c0bdf4f2e6862ba7e4a07605119431f5d13f726dd352b06f1b206a9"
    content = {"path": str(picture), "name": "1.jpg", "size": 5, "sha256": digest, "body": body}
    assert uploaded == ("upload_file", "file:one", "project:P", content)
    assert imported[3]["body"]["file_url"] == "https://example.com/1.jpg"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("file", "upload"), "PATH"),
        (("file", "upload", "/no/such/file"), "cannot be read"),
        (("file", "upload", "/"), "not a regular file"),
        (("file", "import", "nowhere"), "is not a URL"),
        (("file", "import", "https://a", "--metadata", "[1]"), "[1]"),
        (("file", "import", "https://a", "--reference-id", ""), "empty"),
    ],
    ids=" ".join,
)
def test_bad_input_ends_with_2_and_queues_nothing(
    arguments: tuple[str, ...],
    words: str,
    offline: Scalesync,  # noqa: F811
) -> None:
    """One clear sentence each."""
    check_refusal(offline(*arguments), 2, words)
    assert _payloads(offline) == []
