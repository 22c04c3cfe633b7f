"""The broken variants of reviews, replaced responses and their differences, with the tests that must fail."""

from tests.mutations.mutated_copy import Variant

_PAIRS = "annotations/test_difference.py::test_every_annotation_is_in_one_pair_or_none"

VERSIONS = (
    Variant(
        "audits of a task that is read again stay",
        "db/mirror/reviews.py",
        "for statement in _DELETE if _any_here(conn, task_ids) else ():",
        "for statement in ():",
        ("db/test_reviews.py::test_audits_are_replaced_with_their_task[sqlite]",),
    ),
    Variant(
        "audits of a deleted task are not looked for",
        "db/mirror/page_inserts.py",
        "if annotations.any_left_behind(conn, pages) or reviews.any_left_behind(conn, pages):",
        "if annotations.any_left_behind(conn, pages):",
        ("db/test_reviews.py::test_nothing_of_a_deleted_row_stays_beside_a_new_one[sqlite-the task]",),
    ),
    Variant(
        "audits are taken for listed oldest first",
        "queue/handlers/task_changes.py",
        'return sorted(audits, key=lambda audit: str(audit.get("audited_at") or ""), reverse=True)',
        "return audits[::-1]",
        ("queue/test_task_changes.py::test_an_audit_is_found_by_what_was_there_before",),
    ),
    Variant(
        "a response that came back is seen first when it came back",
        "db/mirror/replaced_responses.py",
        'set_={"replaced_at": insert.excluded.replaced_at},',
        'set_={name: insert.excluded[name] for name in ("replaced_at", "first_seen_at")},',
        ("db/test_replaced_responses.py::test_every_response_is_kept_once[sqlite]",),
    ),
    Variant(
        "a response after a recall is compared with nothing",
        "db/mirror/replaced_responses.py",
        "before = _last_replaced(conn, without) | replaced",
        "before = replaced",
        ("db/test_replaced_responses.py::test_responses_are_compared_with_the_one_before[sqlite]",),
    ),
    Variant(
        "annotations in files are taken for none",
        "annotations/difference.py",
        "if result_urls(task_type, before) or result_urls(task_type, after):",
        "if False:",
        ("annotations/test_difference.py::test_what_cannot_be_compared_says_so",),
    ),
    Variant(
        "one annotation is the nearest of two",
        "annotations/difference.py",
        "taken |= {(0, here.ordinal), (1, there.ordinal)}",
        "taken |= {(0, here.ordinal)}",
        (_PAIRS,),
    ),
)
