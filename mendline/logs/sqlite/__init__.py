"""The embedded log: a folder with two SQLite files, for one machine.

    control.db   topics named `*.journal` and `*.commands`; every append survives a power cut (synchronous=FULL)
    bulk.db      all other topics, groups and their offsets; every append survives a crash, a power cut may cost the
                 last moments (synchronous=NORMAL)
    wake/        a FIFO for each consumer that waits

The offsets of all groups live in bulk.db, also those of journal and commands, because an offset must never be ahead
of what it stands for. A commit follows its outputs. In bulk.db a power cut loses the newest transactions first, so a
commit that survives has its bulk outputs before it, and its control outputs were durable anyway. In control.db a
commit could survive outputs that did not. An offset that falls behind only costs repeats.

Several processes append and read at the same time. It never grows into a distributed system: for more than one
machine there is Kafka.
"""

from mendline.logs.sqlite.log import SqliteLog

__all__ = ["SqliteLog"]
