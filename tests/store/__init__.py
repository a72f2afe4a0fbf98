"""The store: what is in it is what the log says, on SQLite and on PostgreSQL."""
