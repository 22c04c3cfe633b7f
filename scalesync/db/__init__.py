"""The SQL door: the only package that imports sqlalchemy and alembic."""
