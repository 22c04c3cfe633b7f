"""`--geometry` and `--label` on the command line and in Python."""

import io
import json
from typing import Any

import pytest

from scalesync import Mirror
from scalesync.errors import ConfigurationError
from scalesync.models.selection import selection_of
from tests.support.cli_process import Scalesync, check_refusal
from tests.support.export_account import NOON


def test_the_command_line_takes_them(mirror: Scalesync) -> None:
    """Each several times, for rows and datasets; a table without such a column is refused."""
    every = mirror("export", "annotations", "--geometry", "box", "--geometry", "polygon").lines
    label = next(str(each["label"]) for each in every if each["geometry"] == "polygon")
    rows = mirror("export", "annotations", "--geometry", "polygon", "--label", label).lines
    assert 0 < len(rows) < len(every)
    assert {(each["geometry"], each["label"]) for each in rows} == {("polygon", label)}
    drawn = json.loads(mirror("export", "tasks", "--format", "coco", "--label", label).out)
    assert [each["name"] for each in drawn["categories"]] == [label]
    for table, option in (("task_facts", "--label"), ("tasks", "--geometry"), ("commands", "--label")):
        check_refusal(mirror("export", table, option, "x"), 2, f"{option} does not apply to {table}")
    check_refusal(mirror("export", "annotations", "--label", ""), 2, "is empty")


def test_python_takes_them(mirror: Scalesync) -> None:
    """As one text or as several; a list of tasks refuses them, and no queued task has them."""
    here = Mirror(mirror.mirror)
    filters: dict[str, Any] = {"geometry": ["box", "polygon"], "label": "no such label"}
    assert here.export("annotations", io.BytesIO(), **filters).written == 0
    assert here.rows("annotations", geometry="box").read_all().num_rows > 10
    with pytest.raises(ConfigurationError, match="geometry does not apply to tasks"):
        list(here.tasks(**filters))
    assert list(here.queued_tasks(**filters)) == []
    with pytest.raises(ConfigurationError, match="The label is empty"):
        selection_of({"label": ["a", ""]}, NOON)
