"""SQL of mirrored objects and what follows from them: documents, annotations, history, counts."""
