"""Downloads of the files that task responses refer to, and new signed URLs for those that have expired."""
