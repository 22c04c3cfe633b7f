"""The broken variants of what counts as equal, and of `verify`."""

from tests.mutations.mutated_copy import Variant

_SPELLING = "db/test_json_equality.py::test_another_spelling_is_no_change[sqlite-tasks]"
_HISTORY = "db/test_json_equality.py::test_a_response_in_another_spelling_is_no_row_of_the_history[sqlite"
_ANY = '-{"annotations": [ {"label": "car", "left": 1} ]}]'

EQUALITY = (
    Variant(
        "spelling counts as a change",
        "db/mirror/upsert.py",
        'alike = old["digest"] == row.digest or key in respelled',
        'alike = old["digest"] == row.digest',
        (_SPELLING,),
    ),
    Variant(
        "spelling is a row of the history",
        "db/mirror/unchanged_spelling.py",
        "if response is not None and same_content(response, candidates[task_id])",
        "if response is not None and response == candidates[task_id]",
        (_HISTORY + _ANY,),
    ),
    Variant(
        "numbers are compared as doubles",
        "parsing/json_equality.py",
        "_decode = msgspec.json.Decoder(float_hook=_number).decode",
        "_decode = msgspec.json.Decoder(float_hook=float).decode",
        ("db/test_json_equality.py::test_another_value_is_another[a long decimal]",),
    ),
    Variant(
        "what Postgres drops is not counted",
        "db/mirror/numeric_limits.py",
        "repeated = sum(row.repeated for row in rows)",
        "repeated = 0",
        ("db/test_json_equality.py::test_what_no_database_gives_back_is_counted[sqlite-metadata]",),
    ),
)

_BEHIND = "sync/test_verify_behind.py::test_what_changed_since_the_last_sync_is_behind[sqlite-0-False]"
_WHOLE = "sync/test_verify_total_count.py::test_tasks_that_no_list_by_time_holds_are_missed[sqlite"

PROOFS = (
    Variant(
        "behind counts as drift",
        "sync/verify/differ.py",
        "if behind:",
        "if False:",
        (_BEHIND,),
    ),
    Variant(
        "any later change excuses a loss",
        "sync/verify/differ.py",
        "return isinstance(created, datetime) and created >= mark",
        "return _is_dated_since(remote, values, mark)",
        ("sync/test_verify_behind.py::test_a_later_change_excuses_no_loss[sqlite-lose]",),
    ),
    Variant(
        "the unbounded total is not compared",
        "sync/verify/tasks.py",
        "if not _is_dateless(window):",
        "if True:",
        (f"{_WHOLE}-0-False]", f"{_WHOLE}-10000-False]"),
    ),
)
