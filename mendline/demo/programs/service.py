"""The service that the demonstration breaks: one worker on one socket, that starts in a few hundredths of a second.

GET /health answers `ok PID`, or that its data are corrupt, of which it reads a block for each answer. /deadlock makes
the worker wait for a lock that it holds itself; /stall?s=1 keeps it busy for that many seconds, as a long collection of
garbage or a slow disk would. /leak takes 10 MB of memory a second from then on and gives nothing back; /burn?s=2
computes for that many seconds beside the worker, without a number for ever.
Port: the first argument; folder of the data, if it has any: the second. The file that $CONFIG names says what it
answers; one that cannot be understood ends the service, as it does with many. It starts $LOADS seconds later, and is
not well without a service on the port $NEEDS; $SAYS is printed when it is deadlocked.
"""

import _thread
import os
import socket
import sys
import time
import zlib

BACKLOG = 1024
SEND_WAIT_S = 1.0
LEAK = 1_000_000
LEAK_EVERY_S = 0.1
BLOCK = 40_000
DATA = "".join(sys.argv[2:])
CONFIG, NEEDS, LOADS, SAYS = (os.environ.get(name, "") for name in ("CONFIG", "NEEDS", "LOADS", "SAYS"))


def respond(link: socket.socket, text: str, status: str = "200 OK") -> None:
    """Send one answer and end the connection."""
    body = text + "\n"
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    link.sendall((head + body).encode())
    link.close()


def serve(link: socket.socket) -> None:
    """Read one request and do what it asks."""
    request = link.recv(4096).decode(errors="replace").split(" ")
    path, _, query = (request[1] if len(request) > 1 else "").partition("?s=")
    if path == "/health":
        respond(link, *health())
    elif path == "/stall":
        respond(link, "stalling", "202 Accepted")
        time.sleep(float(query or 1))
    elif path == "/leak":
        respond(link, "leaking", "202 Accepted")
        _thread.start_new_thread(leak, ())
    elif path == "/burn":
        respond(link, "burning", "202 Accepted")
        _thread.start_new_thread(burn, (float(query or "inf"),))
    elif path == "/deadlock":
        respond(link, "never again", "202 Accepted")
        print(SAYS, flush=True)
        lock = _thread.allocate_lock()
        lock.acquire()
        lock.acquire()
    else:
        respond(link, "there is /health, /stall?s=SECONDS, /leak, /burn?s=SECONDS and /deadlock", "404 Not Found")


def health() -> tuple[str, ...]:
    """Return what to answer, by what it needs and a block of the data that is drawn at random."""
    if NEEDS and not is_there(int(NEEDS)):
        return "what it needs is not there", "503 Service Unavailable"
    number = int.from_bytes(os.urandom(2), "big")
    files = sorted(os.listdir(DATA)) if DATA else []  # noqa: PTH208 - pathlib would double its start
    if files:
        with open(f"{DATA}/{files[number % len(files)]}", "rb") as file:  # noqa: PTH123 - the same
            file.seek(number % (os.fstat(file.fileno()).st_size // BLOCK) * BLOCK)
            block = file.read(BLOCK)
        if zlib.crc32(block[:-4]) != int.from_bytes(block[-4:], "big"):
            return "its data are corrupt", "500 Internal Server Error"
    return (f"{configured()} {os.getpid()}",)


def is_there(port: int) -> bool:
    """Say whether another service listens on the port."""
    with socket.socket() as link:
        return link.connect_ex(("127.0.0.1", port)) == 0


def configured() -> str:
    """Return the word that it answers, by the file as it is now."""
    if not CONFIG:
        return "ok"
    with open(CONFIG) as file:  # noqa: PTH123 - pathlib would double its start
        name, _, value = file.read().partition("=")
    if name.strip() != "answer" or not value.strip():
        sys.exit(f"{CONFIG}: there is no answer in it")
    return value.strip()


def leak() -> None:
    """Keep ever more memory."""
    kept = []
    while True:
        kept.append(b"x" * LEAK)
        time.sleep(LEAK_EVERY_S)


def burn(seconds: float) -> None:
    """Compute for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def main() -> None:
    """Serve for ever, one connection at a time."""
    configured()
    time.sleep(float(LOADS or 0))
    sys.setswitchinterval(0.0005)  # who computes beside the worker must not keep it waiting
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", int(sys.argv[1])))
    listener.listen(BACKLOG)
    while True:
        link, _ = listener.accept()
        link.settimeout(SEND_WAIT_S)
        try:
            serve(link)
        except OSError:
            link.close()  # the client gave up while it waited


if __name__ == "__main__":
    main()
