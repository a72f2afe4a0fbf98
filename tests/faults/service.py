"""A service that notes each of its starts in a file and answers every request with 200."""

import os
import socket
import sys

with open(sys.argv[2], "a") as starts:
    starts.write(f"{os.getpid()}\n")
with socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=64) as server:
    while True:
        connection, _ = server.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
