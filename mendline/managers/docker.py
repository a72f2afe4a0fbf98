"""A container of Docker, asked about and commanded over the Engine API, on a socket of this host.

https://docs.docker.com/reference/api/engine/ has paths, states and events. The paths are without a version: there is
none that both Docker 20.10, up to 1.41, and Docker 29, from 1.44 on, would speak, and what is used here is the same in
all.
"""

from __future__ import annotations

import http.client
import json
import signal
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from mendline.managers.unix_http import UnixConnection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mendline.schemas.settings import ProcessSettings

RUNNING, RESTARTING, PAUSED, CREATED = "running", "restarting", "paused", "created"
HEALTHY, UNHEALTHY = "healthy", "unhealthy"
ENDED = frozenset({"exited", "dead"})
RESTARTED_WHATEVER_THE_CODE = frozenset({"always", "unless-stopped"})
GRACEFUL = frozenset({0, 128 + signal.SIGTERM})
"""Exit codes of a program that was asked to end, and did."""
MOST_ANSWER = 2**22
MOST_SAID = 300


class DockerError(Exception):
    """Raised when Docker does not answer or refuses; the message says why."""


class Container(NamedTuple):
    """What Docker says of a container.

    `status` is a word of its own, `pid` the main process as this host numbers it, None while there is none. `healer` is
    Docker's restart policy, `no` when it leaves the container alone. `health` is empty when the image has no check;
    `checked` is what the last check printed.
    """

    name: str
    status: str
    pid: int | None
    exit_code: int
    out_of_memory: bool
    error: str
    healer: str
    stop_signal: int
    health: str
    checked: str

    @property
    def ending(self) -> str:
        """How it is, and how it ended if it did, in words."""
        if self.status in {RUNNING, PAUSED, CREATED}:
            return self.status
        memory = ", out of memory" if self.out_of_memory else ""
        why = f": {self.error}" if self.error else ""
        return f"{self.status} with code {self.exit_code}{memory}{why}"


class Docker:
    """The engine at `url`, `unix:///PATH`. Used from several threads."""

    def __init__(self, url: str) -> None:
        """Connect at each call."""
        self._path = urlsplit(url).path

    @classmethod
    def of(cls, settings: ProcessSettings) -> Docker:
        """Return the engine that a service's settings name."""
        return cls(settings.docker)

    def container(self, name: str, timeout_s: float) -> Container:
        """Return what is known of the container. Raises DockerError, TimeoutError."""
        text = self._call("GET", f"/containers/{_quoted(name)}/json", timeout_s)
        try:
            return _container(name, json.loads(text))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            msg = f"what answers at {self._path} is not Docker: {text[:MOST_SAID].decode(errors='replace')}"
            raise DockerError(msg) from error

    def restart(self, name: str, grace_s: float, timeout_s: float) -> None:
        """Ask it to end, kill it after `grace_s`, and start it; start it when it does not run.

        Raises DockerError, TimeoutError.
        """
        self._call("POST", f"/containers/{_quoted(name)}/restart", timeout_s, t=int(grace_s))

    def is_stopped_on_purpose(self, found: Container, timeout_s: float) -> bool:
        """Say whether the container does not run because somebody wanted it so. Raises DockerError, TimeoutError."""
        if found.status == CREATED:
            return True
        return found.status in ENDED and not found.error and self._was_stopped(found, timeout_s)

    def was_asked_to_end(self, name: str, timeout_s: float, stop_signal: int = signal.SIGTERM) -> bool | None:
        """Say whether somebody stopped, killed or restarted the container before its last end.

        None when Docker has forgotten: it keeps its last 256 events, and none over its own end. Raises DockerError,
        TimeoutError.
        """
        filters = json.dumps({"type": ["container"], "container": [name], "event": ["start", "kill", "die"]})
        now = time.time_ns()
        until = f"{now // 10**9}.{now % 10**9:09}"
        text = self._call("GET", "/events", timeout_s, since="1", until=until, filters=filters)
        return _asked_to_end((json.loads(line) for line in text.splitlines()), {signal.SIGKILL, stop_signal})

    def _was_stopped(self, found: Container, timeout_s: float) -> bool:
        asked = self.was_asked_to_end(found.name, timeout_s, found.stop_signal)
        if asked is not None:
            return asked
        # Whatever Docker would start again was stopped, or it would run. Of others an error code speaks for a failure.
        return found.healer in RESTARTED_WHATEVER_THE_CODE or found.exit_code in GRACEFUL

    def _call(self, method: str, path: str, timeout_s: float, **query: object) -> bytes:
        connection = UnixConnection(self._path, max(timeout_s, 0.001))
        try:
            connection.request(method, f"{path}?{urlencode(query)}" if query else path)
            with closing(connection.getresponse()) as answer:
                text = answer.read(MOST_ANSWER)
                if answer.status >= http.client.BAD_REQUEST:
                    msg = f"Docker refuses: {_message(text) or answer.reason} ({answer.status})"
                    raise DockerError(msg)
                return text
        except TimeoutError as error:
            msg = f"Docker at {self._path} does not answer in time"
            raise TimeoutError(msg) from error
        except (OSError, http.client.HTTPException) as error:
            msg = f"Docker at {self._path} does not answer: {_reason(error)}"
            raise DockerError(msg) from error
        finally:
            connection.close()


def _quoted(name: str) -> str:
    return quote(name, safe="")


def _container(name: str, told: Mapping[str, Any]) -> Container:
    state, health = told["State"], told["State"].get("Health") or {}
    checks = health.get("Log") or [{}]
    return Container(
        name,
        status=state["Status"],
        pid=state["Pid"] or None,
        exit_code=state["ExitCode"],
        out_of_memory=state["OOMKilled"],
        error=state["Error"],
        healer=told["HostConfig"]["RestartPolicy"]["Name"] or "no",
        stop_signal=_signal(told["Config"].get("StopSignal") or ""),
        health=health.get("Status", "none").replace("none", ""),
        checked=checks[-1].get("Output", "").strip(),
    )


def _signal(written: str) -> int:
    """Return the number of a signal that is written as an image may: 15, TERM, SIGTERM, SIGRTMIN+3."""
    if written.isdigit():
        return int(written)
    name, _, more = written.upper().removeprefix("SIG").partition("+")
    return int(getattr(signal, f"SIG{name}", signal.SIGTERM)) + int(more or 0)


def _asked_to_end(events: Iterable[Mapping[str, Any]], signals: set[int]) -> bool | None:
    """Return whether one of `signals` was sent by Docker in the life that ended last."""
    asked, answer = False, None
    for event in events:
        if event["Action"] == "start":
            asked = False
        elif event["Action"] == "kill":
            asked |= _signal(event["Actor"]["Attributes"].get("signal", "")) in signals
        else:
            answer = asked
    return answer


def _message(text: bytes) -> str:
    try:
        return str(json.loads(text)["message"])[:MOST_SAID]
    except (ValueError, KeyError, TypeError):
        return text.decode(errors="replace").strip()[:MOST_SAID]


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such socket; start Docker, or name its socket in process.docker"
    if isinstance(error, PermissionError):
        return "permission denied; put Mendline's user into the socket's group, which is as good as root"
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens; start Docker"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
