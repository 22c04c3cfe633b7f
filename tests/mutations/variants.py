"""The broken variants of the sync side, and for each the quickest tests that must fail for it."""

from tests.mutations.mutated_copy import Variant
from tests.mutations.variants_of_answers import ANSWERS
from tests.mutations.variants_of_api import API
from tests.mutations.variants_of_exports import EXPORTS
from tests.mutations.variants_of_findings import FINDINGS
from tests.mutations.variants_of_input import INPUT
from tests.mutations.variants_of_proofs import EQUALITY, PROOFS
from tests.mutations.variants_of_results import RESULTS
from tests.mutations.variants_of_versions import VERSIONS
from tests.mutations.variants_of_windows import WINDOWS

_GUARD = "db/test_upserts.py::test_an_older_task_never_overwrites_a_newer_one"
_SIDE_BY_SIDE = "db/test_inserts_side_by_side.py::"
_RACE = "db/test_upserts.py::test_they_are_so_in_a_race_too"
_BACK = "db/test_upserts.py::test_a_missing_row_comes_back_when_served_again[sqlite]"
_WHOLE = "sync/test_page_atomicity.py::test_a_page_is_written_whole_or_not_at_all"
_TOTALS = "if window.api_total is None or page.total is None or window.rows_received >= window.api_total:"
_STALE = "batch_counts.mark_stale(conn, {row.values[batch] for row in tasks} | moved_from)"
_PAGE = "sync/test_window_progress.py::test_a_contradiction_closes_no_window"

WATERMARK = (
    Variant(
        "the watermark moves although a window failed",
        "db/sync/runs.py",
        "if ended.rowcount and state is RunState.COMPLETE and found.watermark_at is not None:",
        "if ended.rowcount and found.watermark_at is not None:",
        ("sync/test_store.py::test_a_failed_window_leaves_the_watermark[sqlite]",),
    ),
    Variant(
        "the watermark moves while windows are open",
        "db/sync/runs.py",
        "if window_ledger.count(conn, run.id, WindowState.OPEN):",
        "if window_ledger.count(conn, run.id, WindowState.OPEN) > 1:",
        ("sync/test_store.py::test_watermarks_move_only_with_the_last_window[sqlite]",),
    ),
    Variant(
        "the watermark is when the run ended",
        "db/sync/runs.py",
        "_set_watermark(conn, stream, found.watermark_at)",
        "_set_watermark(conn, stream, at)",
        ("db/test_runs.py::test_a_watermark_is_when_the_run_began[sqlite]",),
    ),
    Variant(
        "a backfill moves the watermark",
        "sync/planner.py",
        "return Plan(kind, tuple(windows), None if request.partial else facts.now)",
        "return Plan(kind, tuple(windows), facts.now)",
        ("sync/test_planner.py::test_a_part_never_moves_a_watermark[request_0]",),
    ),
    Variant(
        "no lookback",
        "sync/planner.py",
        "since = min(watermark, facts.now) - request.lookback if watermark else None",
        "since = min(watermark, facts.now) if watermark else None",
        ("sync/test_planner.py::test_a_later_run_reads_changes_since_the_watermark_less_the_lookback",),
    ),
    Variant(
        "a watermark in the future is believed",
        "sync/planner.py",
        "since = min(watermark, facts.now) - request.lookback if watermark else None",
        "since = watermark - request.lookback if watermark else None",
        ("sync/test_planner.py::test_a_watermark_in_the_future_does_not_skip_anything",),
    ),
    Variant(
        "unfinished batches are forgotten",
        "sync/planner.py",
        "begin = min(since, facts.oldest_unfinished_batch or since)",
        "begin = since",
        ("sync/test_planner.py::test_batches_are_read_from_the_oldest_unfinished_one",),
    ),
    Variant(
        "tasks without an update time are forgotten",
        "sync/planner.py",
        "if facts.some_task_without_update_time:",
        "if facts.some_task_without_update_time and since is None:",
        ("sync/test_planner.py::test_tasks_without_update_times_are_looked_for_by_creation",),
    ),
)

GUARD = (
    Variant(
        "equal times do not refresh",
        "db/mirror/upsert.py",
        "return isinstance(synced_at, datetime) and served_at < synced_at",
        "return isinstance(synced_at, datetime) and served_at <= synced_at",
        (f"{_GUARD}[sqlite-1-1-0-True]", f"{_GUARD}[sqlite-None-None-0-True]"),
    ),
    Variant(
        "equal times do not refresh in the statement",
        "db/mirror/row_writes.py",
        "newer = given.synced_at >= kept.synced_at",
        "newer = given.synced_at > kept.synced_at",
        (f"{_GUARD}[sqlite-1-1-0-True]", f"{_GUARD}[sqlite-None-None-0-True]"),
    ),
    Variant(
        "an older copy overwrites",
        "db/mirror/upsert.py",
        "return updated < ours",
        "return False",
        (f"{_GUARD}[sqlite-1-0-5-False]",),
    ),
    Variant(
        "an older copy overwrites where the API tells no change",
        "db/mirror/upsert.py",
        "return isinstance(synced_at, datetime) and served_at < synced_at",
        "return False",
        (f"{_GUARD}[sqlite-None-None--5-False]",),
    ),
    Variant(
        "an older copy overwrites in a race",
        "db/mirror/row_writes.py",
        "return insert.on_conflict_do_update(index_elements=[kept[mapping.key]], set_=changes, where=newer)",
        "return insert.on_conflict_do_update(index_elements=[kept[mapping.key]], set_=changes)",
        (f"{_RACE}[-1-first-batches]", f"{_RACE}[-1-first-projects]"),
    ),
    Variant(
        "writers of tasks do not take turns",
        "db/mirror/changes.py",
        'if conn.dialect.name == "sqlite":',
        'if conn.dialect.name != "neither":',
        ("db/test_changes.py::test_numbers_are_committed_in_their_order",),
    ),
    Variant(
        "new tasks are noted without a turn",
        "db/mirror/page_inserts.py",
        "changes.lock_task_writes(conn, limit)",
        "pass",
        (f"{_SIDE_BY_SIDE}test_new_tasks_are_written_before_the_turn_and_noted_in_it",),
    ),
    Variant(
        "who waits for the turn never gives way",
        "db/mirror/changes.py",
        'return getattr(error.orig, "sqlstate", None) in {"55P03", "40P01"}',
        "return False",
        (f"{_SIDE_BY_SIDE}test_who_has_the_turn_never_waits_for_long_for_who_waits_for_it",),
    ),
)

TOMBSTONES = (
    Variant(
        "what comes back stays missing",
        "db/mirror/row_writes.py",
        'changes["missing_since"] = sa.null()',
        'changes["missing_since"] = kept.missing_since',
        (_BACK,),
    ),
    Variant(
        "what comes back unchanged stays missing",
        "db/mirror/upsert.py",
        'if alike and old["missing_since"] is None and not ahead:',
        "if alike and not ahead:",
        (_BACK,),
    ),
    Variant(
        "a late 404 hides what was served since",
        "db/mirror/upsert.py",
        "going = sa.and_(columns[mapping.key].in_(chunk), columns.missing_since.is_(None), served)",
        "going = sa.and_(columns[mapping.key].in_(chunk), columns.missing_since.is_(None))",
        ("db/test_upserts.py::test_a_row_served_after_the_404_is_not_missing[sqlite]",),
    ),
    Variant(
        "absence without a 404",
        "sync/window_progress.py",
        "found.append(stream.one(api, key))",
        "gone.append(key)",
        ("sync/test_missing_objects.py::test_what_the_api_still_answers_for_is_not_missing[sqlite]",),
    ),
    Variant(
        "absence from an incremental pass",
        "sync/window_progress.py",
        "return self.window.updated_from is None",
        "return True",
        ("sync/test_missing_objects.py::test_an_incremental_pass_proves_no_absence[sqlite]",),
    ),
    Variant(
        "absence is never noticed",
        "sync/window_progress.py",
        "return self.window.updated_from is None",
        "return False",
        ("sync/test_missing_objects.py::test_what_the_api_still_answers_for_is_not_missing[sqlite]",),
    ),
)

TRANSACTION = (
    Variant(
        "the token is saved in a transaction before its page's rows",
        "sync/store.py",
        "window_ledger.save_pages(conn, received, self.owner, self.lease)",
        "window_ledger.save_pages(conn, received, self.owner, self.lease); conn.commit(); conn.begin()",
        (f"{_WHOLE}[sqlite-tasks]",),
    ),
    Variant(
        "the token is saved in a transaction after its page's rows",
        "sync/store.py",
        "written = _write_others(conn, pages, seen, written)",
        "written = _write_others(conn, pages, seen, written); conn.commit(); conn.begin()",
        (f"{_WHOLE}[sqlite-window_pages]",),
    ),
    Variant(
        "pages of one window are written out of order",
        "sync/write_buffer.py",
        "self.pages.append(page)",
        "self.pages.appendleft(page)",
        ("sync/test_page_transactions.py::test_pages_of_several_windows_are_written_together[sqlite]",),
    ),
    Variant(
        "keys received before a crash are forgotten",
        "db/sync/window_ledger.py",
        "return len(pages), digests",
        "return len(pages), set()",
        ("sync/test_store.py::test_what_was_received_is_known_after_a_crash[sqlite]",),
    ),
)

FILTERS = (
    Variant(
        "bounds are not widened",
        "sync/streams.py",
        "BOUND_MARGIN = timedelta(milliseconds=1)",
        "BOUND_MARGIN = timedelta(0)",
        (
            "sync/test_streams.py::test_every_bound_is_widened",
            "sync/test_runner.py::test_a_backfill_moves_no_watermark[sqlite-dates-exclusive]",
        ),
    ),
    *(
        Variant(
            f"{name} of {stream} is not widened",
            "sync/streams.py",
            line,
            line.replace(" - BOUND_MARGIN", "").replace(" + BOUND_MARGIN", ""),
            ("sync/test_streams.py::test_every_bound_is_widened",),
            below,
        )
        for stream, below in (("tasks", "return TaskFilter("), ("batches", "return BatchFilter("))
        for name, line in (
            ("start_time", "start_time=window.created_from and window.created_from - BOUND_MARGIN,"),
            ("end_time", "end_time=window.created_to and window.created_to + BOUND_MARGIN,"),
        )
    ),
    Variant(
        "updated_after is not widened",
        "sync/streams.py",
        "updated_after=window.updated_from and window.updated_from - BOUND_MARGIN,",
        "updated_after=window.updated_from,",
        ("sync/test_streams.py::test_every_bound_is_widened",),
    ),
    Variant(
        "the token travels with other filters",
        "sync/streams.py",
        "return api.tasks(task_filter(window), limit=limit, next_token=window.next_token)",
        "return api.tasks(task_filter(window if window.next_token is None else Window(window.stream)), "
        "limit=limit, next_token=window.next_token)",
        ("sync/test_streams.py::test_a_token_travels_with_the_filters_it_was_made_under",),
    ),
    Variant(
        "parts leave a gap between them",
        "sync/splitting.py",
        "uppers = [oldest_read, *(cut - TIME_RESOLUTION for cut in cuts)]",
        "uppers = [oldest_read, *(cut - 2 * TIME_RESOLUTION for cut in cuts)]",
        ("sync/test_splitting.py::test_the_parts_cover_the_unread_rest_and_nothing_else",),
    ),
)

LEASES = (
    Variant(
        "the fence is not checked",
        "db/sync/window_ledger.py",
        'if conn.execute(update, sorted(mine, key=itemgetter("held"))).rowcount != len(mine):',
        'if conn.execute(update, sorted(mine, key=itemgetter("held"))).rowcount > len(mine):',
        (
            "sync/test_store.py::test_a_process_that_was_stalled_cannot_write_over_its_successor[sqlite]",
            "db/test_windows.py::test_a_claim_is_held_until_the_window_is_claimed_again[sqlite]",
        ),
    ),
    Variant(
        "the fence does not tell two claims of one owner",
        "db/sync/window_ledger.py",
        'windows.c.attempts == sa.bindparam("fence"),',
        'windows.c.attempts >= sa.bindparam("fence"),',
        ("db/test_windows.py::test_a_claim_is_held_until_the_window_is_claimed_again[sqlite]",),
    ),
    Variant(
        "one lost window costs the others their pages",
        "sync/write_buffer.py",
        "self._count([page], self.store.save_together([page]))",
        "page.progress.lost = True",
        ("sync/test_page_transactions.py::test_one_lost_window_costs_the_others_nothing[sqlite]",),
    ),
    Variant(
        "a lease ends by our clock",
        "db/sync/window_ledger.py",
        "windows.c.leased_until < utc_now(),",
        'windows.c.leased_until < sa.bindparam("ours", callable_=lambda: datetime.now().astimezone()),',
        ("db/test_windows.py::test_a_lease_ends_by_the_servers_clock_whatever_ours_says",),
    ),
    Variant(
        "a lease never ends",
        "db/sync/window_ledger.py",
        "windows.c.leased_until < utc_now(),",
        "windows.c.leased_until < seconds_from_now(-7200),",
        ("sync/test_store.py::test_a_lease_ends_by_the_databases_clock[sqlite-ran out]",),
    ),
)

PAGES = (
    Variant(
        "rows are not counted against the total",
        "sync/window_progress.py",
        "check_count(self.window, page)",
        "pass",
        (f"{_PAGE}[pages4-2 rows came where the API counts 3]",),
    ),
    Variant(
        "rows are counted twice",
        "sync/window_progress.py",
        "rows_received=len(self.seen),",
        "rows_received=self.window.rows_received + len(parsed.rows),",
        (f"{_PAGE}[pages5-1 rows came where the API counts 2]",),
    ),
    Variant(
        "a page is not checked",
        "sync/window_progress.py",
        "check_page(page, self.tokens, has_new_rows=bool(new))",
        "pass",
        (f"{_PAGE}[pages0-says that there is more and gives no token]",),
    ),
    Variant(
        "more without a token is accepted",
        "sync/page_checks.py",
        "if page.has_more and page.next_token is None:",
        "if page.has_more and page.next_token == '':",
        (f"{_PAGE}[pages0-says that there is more and gives no token]",),
    ),
    Variant(
        "an empty page with a token is accepted",
        "sync/page_checks.py",
        "elif page.next_token is not None and not page.docs:",
        "elif page.next_token == '' and not page.docs:",
        (f"{_PAGE}[pages1-token for a further page on an empty]",),
    ),
    Variant(
        "a token that comes twice is accepted",
        "sync/page_checks.py",
        "elif page.next_token is not None and page.next_token in tokens:",
        "elif page.next_token == '' and page.next_token in tokens:",
        (f"{_PAGE}[pages2-the same page token twice]",),
    ),
    Variant(
        "a page that comes twice is accepted",
        "sync/page_checks.py",
        "elif page.next_token is not None and not has_new_rows:",
        "elif page.next_token == '' and not has_new_rows:",
        (f"{_PAGE}[pages3-repeats a page]",),
    ),
    Variant(
        "a list that does not count is accepted",
        "sync/window_progress.py",
        "if self.stream.counted and page.total is None:",
        "if not self.stream.counted and page.total is None:",
        (f"{_PAGE}[pages6-does not say how many there are]",),
    ),
    Variant(
        "rows that left are not missed",
        "sync/page_checks.py",
        _TOTALS,
        _TOTALS.replace(">= window.api_total", ">= min(window.api_total, page.total)"),
        (f"{_PAGE}[pages7-3 rows came where the API counts 4, and 3]",),
    ),
    Variant(
        "the total of the last page alone decides",
        "sync/page_checks.py",
        _TOTALS,
        _TOTALS.replace(">= window.api_total", ">= page.total"),
        ("sync/test_window_progress.py::test_rows_that_joined_meanwhile_are_the_next_runs_business",),
    ),
)

CONTENT = (
    Variant(
        "rows are locked in the order of the collation",
        "db/statements.py",
        """return f'{compiler.process(element.clauses, **options)} COLLATE "C"'""",
        "return compiler.process(element.clauses, **options)",
        ("db/test_engines_agree.py::test_rows_are_locked_in_an_order_that_no_collation_changes",),
    ),
    Variant(
        "a number beyond the limits of Postgres stops a page",
        "db/mirror/numeric_limits.py",
        "mended = [_mended(row, json) for row in rows]",
        "mended = list(rows)",
        ('db/test_engines_agree.py::test_no_number_stops_a_page[postgres-1e200000-"1e200000"]',),
    ),
    Variant(
        "U+0000 is not replaced",
        "json_sanitizing.py",
        "| u0000",
        "| u0001",
        ("test_json_sanitizing.py::test_examples",),
    ),
    Variant(
        "what cannot be stored is handed on",
        "api/responses.py",
        "text, replaced = sanitize(response.body)",
        "text, replaced = response.body, 0",
        ("api/test_operations.py::test_replacements_are_counted",),
    ),
    Variant(
        "the batch that a task left is not counted again",
        "db/mirror/row_writes.py",
        _STALE,
        "batch_counts.mark_stale(conn, {row.values[batch] for row in tasks})",
        ("db/test_batch_counts.py::test_only_what_changed_is_counted_again[sqlite]",),
    ),
    Variant(
        "batches are not counted again",
        "db/mirror/row_writes.py",
        _STALE,
        "batch_counts.mark_stale(conn, ())",
        ("db/test_batch_counts.py::test_only_what_changed_is_counted_again[sqlite]",),
    ),
    Variant(
        "batches of what is gone are not counted again",
        "db/mirror/upsert.py",
        "batch_counts.mark_stale(conn, touched)",
        "batch_counts.mark_stale(conn, ())",
        ("db/test_batch_counts.py::test_only_what_changed_is_counted_again[sqlite]",),
    ),
    Variant(
        "a run counts no batches",
        "sync/runner.py",
        "batch_counts.count_batches(conn, at)",
        "batch_counts.completed_and_touched(conn, at)",
        ("sync/test_runner.py::test_batches_tell_the_apis_own_counts[sqlite]",),
    ),
)

FILES = (
    Variant(
        "the first look at the database does not wait",
        "sync/outage_backoff.py",
        "self.wait(error, saved=0)",
        "raise error",
        ("cli/test_postgres_crashes.py::test_a_locked_file_is_waited_for",),
    ),
    Variant(
        "a -wal of another state is replayed",
        "db/database.py",
        "check_log(path)",
        "pass",
        ("db/test_wal.py::test_a_backup_copied_over_a_mirror_whose_wal_was_left",),
    ),
    Variant(
        "-wal gone is not noticed",
        "db/sqlite.py",
        "elif now != before:",
        "elif False:",
        ("db/test_wal_gone.py::test_every_transaction_after_it_says_so",),
    ),
    Variant(
        "transactions are not counted",
        "db/sqlite.py",
        "count_transaction(connection)",
        "pass",
        ("db/test_wal.py::test_a_backup_copied_over_a_mirror_whose_wal_was_left",),
    ),
)

SESSION = (
    Variant(
        "the session's DateStyle is not set",
        "db/postgres.py",
        '"DateStyle": "ISO",',
        '"application_name": "scalesync",',
        ("db/test_session_settings.py::test_values_come_back_as_they_went",),
    ),
    Variant(
        "whoever writes sees one state only",
        "db/postgres.py",
        "_DRIVER_MODES = {READING: (3, True), WRITING: (2, None)}",
        "_DRIVER_MODES = {READING: (3, True), WRITING: (3, None)}",
        ("db/test_session_settings.py::test_a_transaction_has_the_settings_that_we_rely_on",),
    ),
    Variant(
        "a database of any encoding will do",
        "db/postgres.py",
        'if encoding != "UTF8":',
        "if encoding is None:",
        ("db/test_session_settings.py::test_a_database_that_cannot_hold_every_name_is_refused[LATIN1]",),
    ),
    Variant(
        "a URL that cannot be parsed is shown",
        "settings.py",
        'msg = "The database URL cannot be read."',
        'msg = f"The database URL {text} cannot be read."',
        ("cli/test_secret_leaks_in_urls.py::test_no_password_is_taken_for_another_part_of_an_address",),
    ),
    Variant(
        "an @ that was not escaped is taken for the end of a password",
        "db/url.py",
        r"(?P<host>\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\]|[\w.~-]*)",
        r"(?P<host>\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\]|[\w.~@-]*)",
        ("cli/test_secret_leaks_in_urls.py::test_no_password_is_taken_for_another_part_of_an_address",),
    ),
)

VARIANTS = (
    *INPUT,
    *WATERMARK,
    *EQUALITY,
    *PROOFS,
    *GUARD,
    *TOMBSTONES,
    *TRANSACTION,
    *FILTERS,
    *LEASES,
    *PAGES,
    *ANSWERS,
    *CONTENT,
    *FILES,
    *API,
    *WINDOWS,
    *VERSIONS,
    *RESULTS,
    *SESSION,
    *EXPORTS,
    *FINDINGS,
)
