"""Ways to make a real service ill, and what each is called: by signals, by a debugger, by its own code, by load."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from tests.faults.fleet import free_port, wait_for

PROGRAM = Path(__file__).with_name("victim.py")
PTRACE_ATTACH, PTRACE_DETACH = 16, 17


def request(port: int, path: str, timeout_s: float = 0.2) -> bytes:
    """Return what the service answers; raises OSError."""
    with socket.create_connection(("127.0.0.1", port), timeout_s) as link:
        link.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        return link.recv(4096)


@dataclass
class Victim:
    """A service to be made ill, and what has to be undone in the end."""

    folder: Path
    name: str = "web"
    port: int = field(default_factory=free_port)
    undo: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        """Start the process and wait until it answers."""
        self.pidfile = self.folder / f"{self.name}.pid"
        self.config = self.folder / f"{self.name}.conf"
        self.config.touch()
        command = [sys.executable, "-I", "-S", str(PROGRAM), str(self.port), str(self.pidfile)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        wait_for("the victim", self.answers)

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self.process.pid

    def answers(self) -> bool:
        """Say whether it answers now."""
        with suppress(OSError):
            return b" 200 " in request(self.port, "/health")
        return False

    def ask(self, path: str) -> None:
        """Ask for something, without waiting for an answer."""
        with suppress(OSError):
            request(self.port, path)

    def load(self, path: str, clients: int) -> None:
        """Let so many clients ask for `path`, each again and again, until the end."""
        over = threading.Event()
        threads = [threading.Thread(target=self._keep_asking, args=(path, over)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            self.undo.callback(thread.join)
        self.undo.callback(over.set)

    def _keep_asking(self, path: str, over: threading.Event) -> None:
        while not over.is_set():
            try:
                request(self.port, path, 2.0)
            except OSError:
                over.wait(0.05)

    def close(self) -> None:
        """End load and process."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.undo.close()
        with suppress(ChildProcessError):
            self.process.wait()


Injury = Callable[[Victim], None]


def _send(number: signal.Signals) -> Injury:
    return lambda victim: os.kill(victim.pid, number)


def _ask(path: str) -> Injury:
    return lambda victim: victim.ask(path)


def pause(victim: Victim) -> None:
    """Stop the process for a second."""
    os.kill(victim.pid, signal.SIGSTOP)
    timer = threading.Timer(1.0, os.kill, (victim.pid, signal.SIGCONT))
    timer.start()
    victim.undo.callback(timer.join)


def trace(victim: Victim) -> None:
    """Hold the process by a debugger; the thread that attached must be the one that lets go."""
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        trace_call = ctypes.CDLL(None, use_errno=True).ptrace
        trace_call.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        assert trace_call(PTRACE_ATTACH, victim.pid, None, None) == 0, os.strerror(ctypes.get_errno())
        held.set()
        over.wait()
        trace_call(PTRACE_DETACH, victim.pid, None, None)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10)
    victim.undo.callback(thread.join)
    victim.undo.callback(over.set)


def lock_with_queue(victim: Victim) -> None:
    """Deadlock it while many clients want something: its queue is full."""
    victim.ask("/deadlock")
    victim.load("/health", 24)


def occupy(victim: Victim) -> None:
    """Let more clients want a lot of computing than it can serve, so that its answers come late."""
    victim.load("/compute?0.1", 10)


def flood(victim: Victim) -> None:
    """Let so many clients come that its queue is full."""
    victim.load("/compute?0.05", 40)


def slow_down(victim: Victim) -> None:
    """Let it wait for something slow for each of many clients, so that it is late without any CPU."""
    victim.load("/wait?0.2", 6)


def mislead(victim: Victim) -> None:
    """Let its pidfile name a process that is none."""
    victim.pidfile.write_text(str(2**22 - 1))


def jam(victim: Victim) -> None:
    """Let what reads its configuration wait for ever, as for a file on a server that is gone."""
    pipe = victim.config.with_suffix(".pipe")
    os.mkfifo(pipe)
    pipe.replace(victim.config)
    victim.undo.callback(unjam, victim)


def unjam(victim: Victim) -> None:
    """Let it read the end of the file."""
    os.close(os.open(victim.config, os.O_RDWR | os.O_NONBLOCK))


loop = _ask("/loop")

INJURIES: Mapping[str, Sequence[Injury]] = MappingProxyType({
    "dead": (_send(signal.SIGKILL), _send(signal.SIGSEGV)),
    "stopped": (_send(signal.SIGSTOP),),
    "traced": (trace,),
    "hung": (_ask("/deadlock"), loop, lock_with_queue),
    "overloaded": (occupy, flood, slow_down, _ask("/shed")),
    "unreachable": (_ask("/move"),),
    "failing": (_ask("/fail"),),
    "collector-sick": (jam,),
    "meant": (_send(signal.SIGTERM),),
    "stall": (pause, _ask("/stall?1")),
})  # fmt: skip
"""What is done to a service, in turn, by the class it then belongs to."""

GREEDY = frozenset({flood, lock_with_queue, loop, occupy})
"""What takes a core or many clients: two at once would be a fault of the machine, and not of the service."""

HARMLESS = frozenset({"meant", "stall"})
"""Classes in which nothing is wrong."""


def now_ms() -> int:
    """Return the wall clock in ms."""
    return time.time_ns() // 1_000_000
