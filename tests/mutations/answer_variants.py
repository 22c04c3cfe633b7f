"""The broken variants of what counts as an answer, and of the write queue, with the tests that must fail."""

from tests.mutations.workshop import Variant

_READ = "api/test_whose_answer.py::test_a_read_gives_the_object_that_was_asked_for[given1-batch]"

ANSWERS = (
    Variant(
        "another object is read for the one that was asked for",
        "api/answers.py",
        "if name_in(found, key) != name:",
        "if name_in(found, key) is None:",
        (_READ,),
    ),
    Variant(
        "a connection that mixes answers up is kept",
        "api/client.py",
        "self.reconnect()",
        "pass",
        (_READ,),
        "except ScaleNoAnswer:",
    ),
)
