"""The write queue, from an intent to a proven effect."""
