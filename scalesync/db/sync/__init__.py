"""SQL of runs, windows and verifications, on a connection that the caller has."""
