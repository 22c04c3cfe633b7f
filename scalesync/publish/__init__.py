"""Publishes the mirror as tables that other engines read, and keeps them up to date."""
