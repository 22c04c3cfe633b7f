"""What every test may ask for: databases of both kinds and a sandbox over real HTTP."""

pytest_plugins = ["tests.fixtures.databases", "tests.fixtures.sandboxes"]
