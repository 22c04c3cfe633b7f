"""The broken variants of the search for annotations that look wrong."""

from tests.mutations.mutated_copy import Variant

_TOGETHER = ("db/test_findings.py::test_all_rules_together[sqlite]",)

FINDINGS = (
    Variant(
        "boxes are over each other across frames",
        "db/schema/findings/dialect.py",
        "WHERE b.task_id = a.task_id AND b.frame = a.frame AND b.label = a.label AND b.rotation = a.rotation",
        "WHERE b.task_id = a.task_id AND b.label = a.label AND b.rotation = a.rotation",
        ("db/test_findings.py::test_boxes_far_apart_in_a_frame_are_compared_with_their_neighbours[sqlite]",),
    ),
    Variant(
        "only one neighbour of a box is looked at",
        "db/schema/findings/dialect.py",
        "WHERE n.ahead <= {_REACH} OR n.behind <= {_REACH}",
        "WHERE n.ahead <= {_REACH}",
        _TOGETHER,
    ),
    Variant(
        "an outline is not closed",
        "db/schema/findings/dialect.py",
        "abs(coalesce(m.steps, 0) + coalesce(m.x_last * m.y_0 - m.x_0 * m.y_last, 0)) / 2 AS area,",
        "abs(coalesce(m.steps, 0) + 0) / 2 AS area,",
        _TOGETHER,
    ),
    Variant(
        "a polygon with a text for a number is judged",
        "db/schema/findings/dialect.py",
        '{rules}WHERE f.task_id = o.task_id AND o.points = o.elements""",',
        '{rules}WHERE f.task_id = o.task_id""",',
        _TOGETHER,
    ),
    Variant(
        "a label need not be offered for its geometry",
        "db/schema/findings/sqlite.py",
        "_FOR = f\"CASE WHEN substr(n.fullkey, 1, 5) = '$[0].' THEN {_NAME} ELSE '*' END\"",
        "_FOR = f\"CASE WHEN substr(n.fullkey, 1, 5) = '$[0].' THEN '*' ELSE '*' END\"",
        _TOGETHER,
    ),
    Variant(
        "places in UTF-16 are counted in characters",
        "db/schema/findings/sqlite.py",
        "WHERE glob({_ASTRAL}, w.text) AND unicode(substr(w.text, n.key + 1, 1)) > 65535",
        "WHERE glob({_ASTRAL}, w.text) AND unicode(substr(w.text, n.key + 1, 1)) > 1200000",
        _TOGETHER,
    ),
    Variant(
        "a task whose file is not here is empty",
        "db/schema/findings/dialect.py",
        "WHERE l.task_id = t.task_id AND r.read_at IS NULL)",
        "WHERE l.task_id = t.task_id AND r.url IS NULL)",
        _TOGETHER,
    ),
    Variant(
        "what fails is only looked for up to the limit",
        "cli/findings.py",
        "whole = counts or bool(fail_on) or sys.stdout.isatty()",
        "whole = counts or sys.stdout.isatty()",
        ("cli/test_findings.py::test_what_fails_is_asked_for",),
    ),
    Variant(
        "a search says nothing of files that are not here",
        "cli/findings.py",
        "if unseen.tasks_in_files:",
        "if unseen.tasks_in_files < 0:",
        ("cli/test_findings.py::test_what_is_not_here_is_said",),
    ),
)
