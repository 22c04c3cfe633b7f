"""Yield the fixtures of the command line to the tests that run commands to see what they load."""

from tests.cli.conftest import mirror, synced

__all__ = ["mirror", "synced"]
