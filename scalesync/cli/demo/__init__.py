"""`scalesync demo`: sync, query and dispatch with a made-up account on this machine."""
