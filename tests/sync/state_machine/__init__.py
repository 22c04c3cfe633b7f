"""The mirror under any sequence of changes, syncs, crashes, stalls and clock steps."""
