"""The broken variants of what counts as equal, and of `verify`."""

from tests.mutations.workshop import Variant

_SPELLING = "db/test_equality.py::test_another_spelling_is_no_change[sqlite-tasks]"
_HISTORY = "db/test_equality.py::test_a_response_in_another_spelling_is_no_row_of_the_history[sqlite"
_ANY = '-{"annotations": [ {"label": "car", "left": 1} ]}]'

EQUALITY = (
    Variant(
        "spelling counts as a change",
        "db/upserts.py",
        'alike = old is not None and (old["digest"] == row.digest or key in respelled)',
        'alike = old is not None and old["digest"] == row.digest',
        (_SPELLING,),
    ),
    Variant(
        "spelling is a row of the history",
        "db/spelling.py",
        'if response is not None and same_content(response, str(values["response"])):',
        'if response is not None and response == values["response"]:',
        (_HISTORY + _ANY,),
    ),
    Variant(
        "numbers are compared as doubles",
        "db/equality.py",
        "_decode = msgspec.json.Decoder(float_hook=_number).decode",
        "_decode = msgspec.json.Decoder(float_hook=float).decode",
        ("db/test_equality.py::test_another_value_is_another[a long decimal]",),
    ),
    Variant(
        "what Postgres drops is not counted",
        "db/numerals.py",
        "repeated = sum(row.repeated for row in rows)",
        "repeated = 0",
        ("db/test_equality.py::test_what_no_database_gives_back_is_counted[sqlite-metadata]",),
    ),
)
