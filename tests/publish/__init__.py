"""Tests of published tables."""
