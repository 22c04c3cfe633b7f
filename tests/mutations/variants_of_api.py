"""Broken lines of the API client and of the command line's streams, and the tests that notice each."""

from tests.mutations.mutated_copy import Variant

API = (
    Variant(
        "a read has no total deadline",
        "api/transport.py",
        "limit = min(self._options.total, request.seconds)",
        "limit = 15.0 + min(self._options.total, request.seconds)",
        ("api/test_time_limits.py::test_a_hopeless_read_takes_no_longer_than_its_patience[trickle_head]",),
    ),
    Variant(
        "a stop cuts no request off",
        "api/watchdog.py",
        "over = self._ending_since is not None and now >= self._ending_since + self._grace",
        "over = self._ending_since is not None and now >= self._ending_since + self._grace + 15.0",
        ("api/test_time_limits.py::test_the_end_of_the_work_ends_a_read[stop-trickle_head]",),
    ),
    Variant(
        "the size limit counts packed bytes",
        "api/transport.py",
        "size += len(piece)",
        "size += len(piece) // 1000",
        ("api/test_response_sizes.py::test_an_answer_is_as_large_as_it_is_unpacked[packed-200]",),
    ),
    Variant(
        "a failed write to stderr stops the work",
        "cli/std_streams.py",
        "if self.optional or self.failure is not None:",
        "if self.failure is not None:",
        ("cli/test_std_streams.py::test_a_sync_completes_whoever_listens[sync-2>/dev/full]",),
    ),
    Variant(
        "a report that cannot be written stops the work",
        "cli/std_streams.py",
        "raw.optional = True",
        "raw.optional = False",
        ("cli/test_std_streams.py::test_a_sync_completes_whoever_listens[sync->/dev/full]",),
    ),
)
