"""SQL of exports: rows of a table or view, shapes of image annotations, people's read-only statements."""
