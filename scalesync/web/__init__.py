"""Read-only pages and the report of one mirror: HTTP, templates, charts and shapes."""
