"""Broken variants of how windows add up, of what clocks are trusted with, and of what fails alone."""

from tests.mutations.mutated_copy import Variant

_COLUMNS = "annotations/test_columns.py::"
_TAKEN_TO_BE_NEW = "sync/test_store.py::test_pages_are_taken_to_be_new_where_the_mirror_has_next_to_nothing"
_UNSEEN = "db/test_unseen_tasks.py::test_nothing_left_behind_stays_with_a_task_that_has_nothing"
_LISTS = "sync/test_list_anomalies.py::"
_CLOCK = "sync/test_untrusted_timestamps.py::"
_TRANSACTIONS = "sync/test_page_transactions.py::"
_ONE_PAGE = "sync/test_unreadable_pages.py::"

WINDOWS = (
    Variant(
        "parts need not add up to the whole",
        "db/sync/window_splits.py",
        "return [(window, rows[window.id]) for window in found if rows[window.id] < (window.api_total or 0)]",
        "return [(window, rows[window.id]) for window in found if rows[window.id] < 0]",
        (
            f"{_LISTS}test_a_run_whose_parts_do_not_add_up_is_never_complete[sqlite]",
            f"{_LISTS}test_a_first_pass_reads_what_lists_with_bounds_do_not_give[sqlite-hides undated tasks]",
        ),
    ),
    Variant(
        "rows count in every part that they come in",
        "sync/window_progress.py",
        "within = sum(is_within(self.window, at) for at in created)",
        "within = len(new)",
        (f"{_LISTS}test_every_row_lies_in_exactly_one_part_that_closes[sqlite]",),
    ),
    Variant(
        "rows outside of their window are taken",
        "sync/window_progress.py",
        "check_bounds(self.window, parsed.heads)",
        "pass",
        (f"{_LISTS}test_tasks_of_another_project_in_a_list_of_one_are_a_contradiction[sqlite]",),
    ),
    Variant(
        "absence is not looked for in what was read before a division",
        "sync/engine.py",
        "read = progress.read_part if last.parts else last.window",
        "read = Window('tasks', 'none') if last.parts else last.window",
        (f"{_LISTS}test_what_is_gone_is_noticed_wherever_it_was[sqlite]",),
    ),
    Variant(
        "a division is written before the pages of its window",
        "sync/write_buffer.py",
        "self.pages = deque((*first, *others))",
        "self.pages = deque((page, *first[:-1], *others))",
        (f"{_TRANSACTIONS}test_a_division_is_written_first_and_behind_the_pages_of_its_window[sqlite]",),
    ),
    Variant(
        "an earlier run is taken for one's own",
        "db/sync/runs.py",
        "return timedelta(0) <= time_in(conn, 0.0) - run.opened_at <= timedelta(seconds=seconds)",
        "return timedelta(0) <= time_in(conn, 0.0) - run.opened_at",
        (
            "sync/test_store.py::test_an_open_run_is_for_whoever_asked_before_its_first_request[sqlite--31-False]",
        ),
    ),
    Variant(
        "a watermark in the future stays",
        "db/sync/runs.py",
        "for stream in [stream for stream, at in found.items() if at > now]:",
        "for stream in [stream for stream, at in found.items() if at < now < at]:",
        (f"{_CLOCK}test_a_watermark_in_the_future_skips_nothing[sqlite-a later run]",),
    ),
    Variant(
        "the first clock of a run is believed",
        "sync/store.py",
        "if self.run_started_at is not None and served_at < self.run_started_at:",
        "if self.run_started_at is not None and served_at < served_at:",
        (f"{_CLOCK}test_one_date_in_the_future_moves_no_watermark_there[sqlite]",),
    ),
    Variant(
        "what was stamped in the future keeps copies out",
        "db/mirror/upsert.py",
        "return isinstance(instant, datetime) and instant > served_at + CLOCK_TOLERANCE",
        "return isinstance(instant, datetime) and instant < served_at < instant",
        (f"{_CLOCK}test_what_was_stamped_in_the_future_takes_changes_all_the_same[sqlite-projects]",),
    ),
    Variant(
        "a full pass goes by times of change",
        "sync/store.py",
        "return upsert.write_last if reads_all else upsert.write_rows",
        "return upsert.write_rows",
        (f"{_CLOCK}test_in_a_full_pass_the_copy_served_last_stays[sqlite]",),
    ),
    Variant(
        "a page that fails ends the run",
        "sync/reader_pool.py",
        "return FailedRead(error) if api_works_otherwise(self.api, progress.stream.name, error) else error",
        "return error",
        (f"{_ONE_PAGE}test_a_list_that_cannot_be_read_holds_up_no_other[sqlite-projects]",),
    ),
    Variant(
        "what no table can hold is forgotten",
        "sync/window_progress.py",
        "self.left_out += parsed.left_out",
        "pass",
        (f"{_ONE_PAGE}test_a_long_name_leaves_out_no_other[sqlite-5000]",),
    ),
    Variant(
        "every window counts as empty",
        "sync/store.py",
        "progress.began_empty = stored == 0",
        "progress.began_empty = True",
        (f"{_LISTS}test_what_is_gone_is_noticed_wherever_it_was[sqlite]",),
    ),
    Variant(
        "the pages of every window are inserted without a comparison",
        "sync/window_progress.py",
        "return self.stored_before is not None and self.stored_before <= few",
        "return self.stored_before is not None",
        (f"{_TAKEN_TO_BE_NEW}[sqlite-mirrored before]",),
    ),
    Variant(
        "annotations left behind stay with a task that has none",
        "db/mirror/annotations.py",
        "for table, query in _LEFT_BEHIND.items()",
        "for table, query in _LEFT_BEHIND.items() if table is not annotations",
        (f"{_UNSEEN}[sqlite-annotations]",),
    ),
    Variant(
        "links left behind stay with a task that has none",
        "db/mirror/annotations.py",
        "for table, query in _LEFT_BEHIND.items()",
        "for table, query in _LEFT_BEHIND.items() if table is not annotation_links",
        (f"{_UNSEEN}[sqlite-links]",),
    ),
    Variant(
        "a number too large decides about the next one",
        "annotations/columns.py",
        "layout = self._layout({name: 0 if type(value) is int else value for name, value in given.items()})",
        "layout = self._layout(given)",
        (f"{_COLUMNS}test_a_number_too_large_for_its_column_goes_to_extra_and_the_next_one_does_not",),
    ),
)
