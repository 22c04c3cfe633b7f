"""Reads the API into the mirror: plan, split and read windows (engine), and verify the result."""
