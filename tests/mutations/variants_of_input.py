"""Broken lines of what people type, and the tests that notice each."""

from tests.mutations.mutated_copy import Variant

_UNTIL = "cli/test_times.py::test_until_is_not_included_in_any_command"

INPUT = (
    Variant(
        "a name is stripped",
        "cli/param_types.py",
        "name = _given(value)",
        "name = _given(value).strip()",
        ("cli/test_name_whitespace.py::test_a_field_that_gives_the_unique_id_is_named_as_it_was_typed",),
    ),
    Variant(
        "a blank name is called empty",
        "queue/new_commands.py",
        "if not isinstance(name, str) or not name:",
        "if not isinstance(name, str) or not name.strip():",
        ("cli/test_name_whitespace.py::test_python_refuses_an_empty_name_too",),
    ),
    Variant(
        "an empty option is taken for none",
        "cli/param_types.py",
        "if not value:",
        "if value is None:",
        ("cli/test_name_whitespace.py::test_an_empty_argument_is_refused",),
    ),
    Variant(
        "--until includes its end in a sync",
        "sync/planner.py",
        "return self.until and self.until - timedelta(milliseconds=1)",
        "return self.until",
        (_UNTIL, "sync/test_planner.py::test_a_backfill_is_bounded_by_creation"),
    ),
    Variant(
        "--until includes its end in lists, exports and changes",
        "db/filters.py",
        "yield column < until",
        "yield column <= until",
        (_UNTIL, "cli/test_times.py::test_changes_are_half_open_too"),
    ),
    Variant(
        "--until includes its end in a verification",
        "sync/verify/api_listing.py",
        "inside = (row for row in rows if row.created_at is None or is_within(window, row.created_at))",
        "inside = iter(rows)",
        (_UNTIL,),
    ),
)
