"""Read-only pages over one mirror: `scalesync browse`."""
