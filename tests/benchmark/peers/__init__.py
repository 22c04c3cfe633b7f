"""The peers: programs that are measured, each a whole process that does its job and prints a report."""
