"""The drop-in for the official client."""
