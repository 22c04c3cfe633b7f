"""The suite: sentences about behaviour, held against real servers, databases and processes."""
