"""The door to people: parse, one call, print. Wording and drawing stand here and nowhere else."""
