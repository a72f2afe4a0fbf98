"""A service of a chain: NAME, PORT, NOTES and the seconds from its start until it answers; it notes both in a file."""

import os
import socket
import sys
import time
from pathlib import Path

name, port, notes, takes_s = sys.argv[1:]


def note(what: str) -> None:
    """Write a line."""
    with Path(notes).open("a", encoding="ascii") as file:
        file.write(f"{name} {os.getpid()} {what}\n")


note("starts")
time.sleep(float(takes_s))
asked = 0
with socket.create_server(("127.0.0.1", int(port)), backlog=64) as server:
    while True:
        connection, _ = server.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
        if not asked:
            note("answers")
        asked += 1
