"""Frozen value types that the packages exchange. Nothing here uses a clock, a network or a disk."""
