"""What responses mean, type by type."""
