"""`scalesync demo`: a made-up account is mirrored, annotated, asked in SQL and sent work, on this machine."""
