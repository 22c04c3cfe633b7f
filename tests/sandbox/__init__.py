"""The sandbox, which states what we assume of the API."""
