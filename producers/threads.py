"""Work that may hang, done beside the thread that wants the answer."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from time import monotonic
from typing import Generic, TypeVar

Answer = TypeVar("Answer")

logger = logging.getLogger(__name__)


class Aside(Generic[Answer]):
    """Asks one question on a thread of its own, never twice at the same time.

    The thread is a daemon: one that hangs in the kernel cannot be ended and must not keep the program from ending.
    """

    def __init__(self, question: Callable[[], Answer], name: str, patience_s: float = 0.02) -> None:
        """Ask `question`; wait `patience_s` for its answer."""
        self._question = question
        self._name = name
        self._patience_s = patience_s
        self._answer: Answer | None = None
        self._began: float | None = None
        self._done = threading.Event()
        self._requests: queue.SimpleQueue[Callable[[], Answer] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def busy_s(self) -> float:
        """For how long an answer has been owed; 0 when none is."""
        began = self._began
        return monotonic() - began if began is not None else 0.0

    def ask(self) -> Answer | None:
        """Return the answer if it comes soon, else None; while an old one is owed, nothing new is asked."""
        if self._began is not None:
            return None
        if not self._thread:
            self._thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
            self._thread.start()
        self._began = monotonic()
        self._done.clear()
        self._requests.put(self._question)
        return self._answer if self._done.wait(self._patience_s) else None

    def close(self) -> None:
        """Let the thread end when it is free."""
        self._requests.put(None)

    def _serve(self) -> None:
        while question := self._requests.get():
            try:
                self._answer = question()
            except Exception as error:  # noqa: BLE001 - whatever it is, the thread must go on to answer
                self._answer = None
                logger.debug("%s: %s", self._name, error)
            self._began = None
            self._done.set()
