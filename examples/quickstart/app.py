"""A tiny HTTP service to be watched, and broken on purpose.

GET /health answers `ok`. Started with --breakable it can also be broken: /deadlock keeps the only worker for ever (the
process lives, but answers nobody), /stall?s=1 keeps it for a number of seconds, /crash ends it with code 3. It is
written on plain sockets, because `http.server` takes longer to import than everything else here.
"""

import os
import re
import socket
import sys
import time

FOR_EVER = 10**9


def answer(link, status, text):
    body = text.encode() + b"\n"
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    link.sendall(head.encode() + body)


def serve(link, breakable):
    request = link.recv(4096).decode(errors="replace")
    found = re.match(r"[A-Z]+ (/\w*)(?:\?s=(\d+(?:\.\d+)?))? HTTP", request)
    path = found[1] if found else ""
    if path == "/health":
        answer(link, "200 OK", "ok")
    elif path == "/stall" and breakable:
        answer(link, "202 Accepted", "stalling")
        link.close()
        time.sleep(float(found[2] or 1))
    elif path == "/deadlock" and breakable:
        answer(link, "202 Accepted", "nothing more will be answered")
        link.close()
        time.sleep(FOR_EVER)
    elif path == "/crash" and breakable:
        print("crash: asked to end with code 3", file=sys.stderr, flush=True)
        os._exit(3)
    else:
        answer(link, "404 Not Found", "there is only /health here")


def main():
    port = int(os.environ.get("PORT", "8080"))
    breakable = "--breakable" in sys.argv
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(128)
    print(f"listening on 127.0.0.1:{port}", flush=True)
    while True:
        link, _ = listener.accept()
        link.settimeout(5)
        try:
            serve(link, breakable)
        except OSError as error:
            print(f"a client went away: {error}", file=sys.stderr, flush=True)
        finally:
            link.close()


if __name__ == "__main__":
    main()
