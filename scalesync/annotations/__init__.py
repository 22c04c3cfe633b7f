"""Flattens responses into annotation rows, by type of task. Pure: no database, no network."""
