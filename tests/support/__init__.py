"""Share databases, servers, processes, oracles and builders of data between test modules."""
