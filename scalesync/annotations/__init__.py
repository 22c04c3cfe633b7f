"""Flattens responses into annotation rows, type of task by type of task. Pure: no database, no network."""
