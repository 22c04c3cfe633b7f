"""The read side: what to read (plan), how to divide it (split), and the engine that reads it."""
