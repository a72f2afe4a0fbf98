"""The store: windows and the journal as tables of a SQL database, for questions over more time than a log holds.

    mendline store ──reads──▶ windows, journal     (a consumer group of its own, `store`)
                   ──writes─▶ SQLite or PostgreSQL

The log stays the only state: all that is here can be made again from it. What was read up to where stands in the
database itself, in the same transaction as the rows, so that after a crash at any point it holds what the log says up
to that place, nothing twice and nothing left out.
"""
