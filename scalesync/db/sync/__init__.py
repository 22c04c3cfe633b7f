"""SQL of runs, windows and verifications, run on the caller's connection; functions never commit."""
