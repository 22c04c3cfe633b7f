"""Tables, indexes and views. Their names are a public contract: people's SQL depends on them."""
