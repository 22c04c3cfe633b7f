"""Comparison of the mirror with the API: count segments, bisect those that differ, list what is left."""
