"""SQL of exports.

Rows of a table or view, shapes of image annotations, a person's own read-only statement.
"""
