"""Compares the mirror with the API: counts segments, bisects those that differ, lists what is left."""
