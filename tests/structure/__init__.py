"""The shape of the code, held by machines: types, lint, imports, sizes, and what a command loads."""
