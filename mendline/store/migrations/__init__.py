"""The steps from one version of the tables to the next, each a revision of Alembic's. They are never changed."""
