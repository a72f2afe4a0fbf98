"""A service with one worker that falls ill in the way it is asked to: PORT, PIDFILE and, if any, a second port.

GET /health answers ok. /deadlock waits for a lock it holds, /loop computes for ever, /fail answers 500 from then on and
/shed 503, /move listens at another port from then on, /stall?S sleeps S seconds, /compute?S uses S seconds of CPU,
/wait?S asks a slow other service, so to say. SIGTERM is a stop that was meant: the pidfile goes, and the code is 0.
"""

import _thread
import contextlib
import os
import signal
import socket
import sys
import time
from pathlib import Path

BACKLOG = 16


class Victim:
    """One listener, one connection at a time."""

    def __init__(self, port: int, pidfile: Path) -> None:
        self.pidfile = pidfile
        self.status = "200 OK"
        self.listener = self.listen(port)

    def listen(self, port: int) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(BACKLOG)
        return listener

    def run(self) -> None:
        while True:
            link, _ = self.listener.accept()
            link.settimeout(1.0)
            with contextlib.suppress(OSError):  # whoever asked may have given up
                self.serve(link)
            link.close()

    def serve(self, link: socket.socket) -> None:
        path, _, seconds = link.recv(4096).decode(errors="replace").split(" ")[1].partition("?")
        what = getattr(self, path[1:], None)
        if what:
            what(*([float(seconds)] if seconds else []))
        link.sendall(f"HTTP/1.0 {self.status}\r\nContent-Length: 2\r\n\r\nok".encode())

    def deadlock(self) -> None:
        lock = _thread.allocate_lock()
        lock.acquire()
        lock.acquire()

    def loop(self) -> None:
        while True:
            pass

    def fail(self) -> None:
        self.status = "500 Internal Server Error"

    def shed(self) -> None:
        self.status = "503 Service Unavailable"

    def move(self) -> None:
        self.listener.close()
        self.listener = self.listen(0)

    def stall(self, seconds: float) -> None:
        time.sleep(seconds)

    wait = stall

    def compute(self, seconds: float) -> None:
        until = time.process_time() + seconds
        while time.process_time() < until:
            pass

    def end(self, *_: object) -> None:
        self.pidfile.unlink()
        os._exit(0)


if __name__ == "__main__":
    victim = Victim(int(sys.argv[1]), Path(sys.argv[2]))
    signal.signal(signal.SIGTERM, victim.end)
    victim.pidfile.write_text(str(os.getpid()), encoding="ascii")
    victim.run()
