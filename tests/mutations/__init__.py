"""Whether the suite would notice: one line broken by hand, and the tests that must fail."""
