"""Measure scalesync beside other programs for its work, on this machine: `python -m tests.benchmark`.

Needs the extras `test` and `bench`. The suite measures nothing: it only tests that the benchmark works.
"""
