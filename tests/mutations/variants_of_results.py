"""The broken variants of result files: had and read are two facts, and the key stays with the API."""

from tests.mutations.mutated_copy import Variant

_UNREAD = "sync/test_result_files.py::test_a_file_that_cannot_be_read_is_had_but_not_read[sqlite"
_ORIGIN = "api/test_downloads.py::test_the_key_goes_to_the_apis_own_origin_and_to_no_other"

RESULTS = (
    Variant(
        "a file that could not be read counts as read",
        "db/mirror/annotations.py",
        "conn.execute(noted.values(read_at=None, error=reason))",
        "conn.execute(noted.values(error=reason))",
        (f"{_UNREAD}-cut]", f"{_UNREAD}-form]"),
    ),
    Variant(
        "a file is read if any of it was",
        "annotations/file_references.py",
        "if reason:",
        "if reason and not rows:",
        (f"{_UNREAD}-part]",),
    ),
    Variant(
        "what could not be read is not tried again",
        "db/mirror/result_files.py",
        "query = select(_C.url).where(_C.read_at.is_(None), _C.url > after)",
        "query = select(_C.url).where(_C.fetched_at.is_(None), _C.url > after)",
        (f"{_UNREAD}-empty]",),
    ),
    Variant(
        "the key goes to another host than the API's",
        "api/ssrf.py",
        "return address.origin in (api.origin, parse_address(DEFAULT_API_URL).origin)",
        'return address.scheme == "http" or address.host.endswith("scale.com")',
        (_ORIGIN, "api/test_downloads.py::test_who_may_see_the_key"),
    ),
    Variant(
        "an upgrade leaves annotations as the older rules made them",
        "db/migrate.py",
        "make_anew(connection)",
        "pass",
        ("db/test_annotations.py::test_an_upgrade_reads_again_what_is_here[sqlite]",),
    ),
)
"""Each is noticed by tests that fetch real files over HTTP, or upgrade a real database."""
