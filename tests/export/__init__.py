"""Tests of the forms in which rows leave the mirror."""
