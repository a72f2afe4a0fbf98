"""The logs Mendline runs on: `memory:`, `sqlite://PATH` and `kafka://HOST:PORT,…`, behind one interface (`base`)."""
