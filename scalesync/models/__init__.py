"""Frozen values that cross the packages: without a clock, a network or a disk."""
