"""SQL of mirrored objects and what is derived from them: documents, annotations, history, counts."""
