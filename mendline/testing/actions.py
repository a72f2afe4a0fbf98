"""Generic checks that every action must pass, the built-in ones too; for authors of their own.

    for check in check_action(Purge, Trial(settings=ServiceSettings(...), parameters={...}, observe=...)):
        check.run()        # raises CheckFailedError

They run the action for real, on the settings of the trial and several times: use a service made for that. What an
action changes outside of this process only its author can tell: `observe` returns it, and what it does not return is
not compared.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import PurePath
from types import MappingProxyType

import psutil

from mendline.responders.action import (
    Action,
    ActionContext,
    DeferredError,
    OvertakenError,
    Parameter,
    PermanentError,
    TemporaryError,
)
from mendline.schemas.settings import ServiceSettings
from mendline.testing.detectors import Check, CheckFailedError
from mendline.testing.watching import Seen, watched

HOST, SERVICE = "host-1", "checked"
SHORT_S = 0.3
OVERTIME_S = 1.0
MARK = "MENDLINE_CHECK"
SHELLS = frozenset({"ash", "bash", "csh", "dash", "fish", "ksh", "sh", "tcsh", "zsh"})
BY_SHELL = ("os.system", "pty.spawn")
CONTRACT = (PermanentError, TemporaryError, DeferredError, OvertakenError, TimeoutError)


@dataclass(frozen=True)
class Trial:
    """On what an action is tried.

    `settings` and `parameters` are those with which it succeeds; with those and `slow` added, it would take seconds.
    `observe` returns the state that it changes. `timeout_s` is enough for it. `stays` returns the ids of processes
    that it is there to start.
    """

    settings: ServiceSettings = field(default_factory=ServiceSettings)
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    slow: Mapping[str, Parameter] = field(default_factory=dict)
    observe: Callable[[], object] = lambda: None
    timeout_s: float = 20.0
    stays: Callable[[], Sequence[int]] = lambda: ()


def check_action(make: Callable[[], Action], trial: Trial | None = None) -> Iterator[Check]:
    """Yield the checks of the action that `make` returns; each makes its own."""
    for name, check in _CHECKS.items():
        yield Check(name, lambda check=check: check(_Subject(make, trial or Trial())))  # type: ignore[misc]


class _Subject:
    """An action on trial."""

    def __init__(self, make: Callable[[], Action], trial: Trial) -> None:
        self.action = make()
        self.trial = trial

    def context(
        self, intent: str = "", timeout_s: float | None = None, changes: Mapping[str, Parameter] = MappingProxyType({})
    ) -> ActionContext:
        """Return what the action is told, of an intent of its own unless one is given."""
        return ActionContext(
            intent or f"check-{secrets.token_hex(8)}",
            HOST,
            SERVICE,
            self.trial.settings,
            self.trial.timeout_s if timeout_s is None else timeout_s,
            {**self.trial.parameters, **changes},
        )

    def succeed(self, context: ActionContext) -> str:
        """Return what the action says. Raises CheckFailedError when it does not succeed."""
        try:
            return self.action.run(context)
        except Exception as error:
            msg = f"it was to succeed, but raised {type(error).__name__}: {error}"
            raise CheckFailedError(msg) from error


def _hold(holds: object, message: str) -> None:
    if not holds:
        raise CheckFailedError(message)


def _says_what_it_did(subject: _Subject) -> None:
    name = getattr(subject.action, "name", None)
    _hold(isinstance(name, str) and name, f"its name is {name!r}: policies could not name it")
    said: object = subject.succeed(subject.context())
    _hold(isinstance(said, str) and said.strip(), f"it returned {said!r}: people would not know what was done")


def _once(subject: _Subject) -> None:
    first = subject.context()
    subject.succeed(first)
    after = subject.trial.observe()
    with suppress(*CONTRACT):  # saying that it was done is as good as saying it again
        subject.action.run(subject.context(first.intent))
    again = subject.trial.observe()
    _hold(after == again, f"a second run for the same intent changed what is observed: from {after!r} to {again!r}")


def _in_time(subject: _Subject) -> None:
    began = time.monotonic()
    finished = threading.Event()
    failed: list[str] = []
    context = subject.context(timeout_s=SHORT_S, changes=subject.trial.slow)
    work = threading.Thread(target=_run_until, args=(subject, context, finished, failed), daemon=True)
    work.start()
    _hold(
        finished.wait(SHORT_S + OVERTIME_S),
        f"it is still at work {SHORT_S + OVERTIME_S:g} s after {SHORT_S:g} s were given",
    )
    took = time.monotonic() - began
    late = took > SHORT_S and failed == ["succeeded"] and subject.trial.slow
    _hold(not late, f"it says that it succeeded, after {took:.1f} s of {SHORT_S:g}: the outcome is timed_out by then")
    _hold(set(failed) <= {"succeeded", "contract"}, f"out of time it raised {failed}, not TimeoutError")


def _run_until(subject: _Subject, context: ActionContext, finished: threading.Event, said: list[str]) -> None:
    try:
        subject.action.run(context)
        said.append("succeeded")
    except CONTRACT:
        said.append("contract")
    except Exception as error:  # noqa: BLE001 - that it is another one is what is looked for
        said.append(type(error).__name__)
    finally:
        finished.set()


def _no_shell(subject: _Subject) -> None:
    with watched() as seen:
        subject.succeed(subject.context())
    shells = [one for one in seen if _is_shell(one)]
    _hold(not shells, f"it used a shell: {shells[:1]}")


def _is_shell(one: Seen) -> bool:
    if one.event in BY_SHELL:
        return True
    started = one.event in ("subprocess.Popen", "os.exec", "os.posix_spawn")
    return started and any(PurePath(text).name in SHELLS for text in one.arguments[:2])


def _records_stay_words(subject: _Subject) -> None:
    """Put a mark into all text that comes over the log, and look for it in what the system is asked for."""
    mark = f"mark{secrets.token_hex(8)}"
    words = [name for name, value in subject.trial.parameters.items() if isinstance(value, str)]
    for name in [*words, "command", "path"]:
        with watched() as seen:
            _try(subject, subject.context(mark, changes={name: mark}))
        used = [one for one in seen if any(mark in text for text in one.arguments)]
        _hold(not used, f"the parameter {name} or the intent's id got into {used[:1]}: a record must not name that")


def _try(subject: _Subject, context: ActionContext) -> None:
    with suppress(Exception):  # what becomes of it is not what is looked at
        subject.action.run(context)


def _honest(subject: _Subject) -> None:
    if not getattr(subject.action, "touches", True):
        return
    bare = ActionContext("check-bare", HOST, "no-such-service", ServiceSettings(), 5.0, {})
    try:
        said = subject.action.run(bare)
    except CONTRACT:
        return
    except Exception as error:
        msg = f"without any settings it raised {type(error).__name__}: {error}; say what is missing by a PermanentError"
        raise CheckFailedError(msg) from error
    msg = f"it says that it succeeded on a service that the host declares nothing of: {said!r}"
    raise CheckFailedError(msg)


def _no_child(subject: _Subject) -> None:
    threads, zombies = set(threading.enumerate()), _zombies()
    with _marked() as mark:
        subject.succeed(subject.context())
        _try(subject, subject.context(timeout_s=SHORT_S, changes=subject.trial.slow))
        stays = set(subject.trial.stays())
        _, left = psutil.wait_procs([one for one in _carriers(mark) if one.pid not in stays], timeout=OVERTIME_S)
    _hold(not left, f"it left {len(left)} processes behind, such as {_named(left)}")
    _hold(not _zombies() - zombies, "it left a process behind that ended and was not waited for")
    more = [one.name for one in set(threading.enumerate()) - threads if not one.daemon]
    _hold(not more, f"it left threads behind that are no daemons: {more}")


def _zombies() -> set[int]:
    return {one.pid for one in psutil.Process().children() if one.status() == psutil.STATUS_ZOMBIE}


@contextmanager
def _marked() -> Iterator[str]:
    """Let all that is started meanwhile carry a mark in its environment."""
    mark = secrets.token_hex(8)
    os.environ[MARK] = mark
    try:
        yield mark
    finally:
        del os.environ[MARK]


def _carriers(mark: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get(MARK) == mark:
                yield process


def _named(left: Sequence[psutil.Process]) -> str:
    try:
        return " ".join(left[0].cmdline())[:80] if left else ""
    except psutil.Error:
        return f"process {left[0].pid}"


_CHECKS: Mapping[str, Callable[[_Subject], None]] = MappingProxyType({
    "It has a name, and says what it did": _says_what_it_did,
    "The same intent changes things once": _once,
    "It is back when its time is over, and does not call that a success": _in_time,
    "No shell takes part": _no_shell,
    "Nothing that came over the log becomes a command line or a path": _records_stay_words,
    "It does not claim success where it can do nothing, and says why": _honest,
    "It leaves no process or thread behind": _no_child,
})  # fmt: skip
