"""Annotations as rows: what a response means, type by type. Pure; it knows no database and no network."""
