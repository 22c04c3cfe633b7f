"""What several test modules share: databases, servers, processes, oracles and the builders of their data."""
