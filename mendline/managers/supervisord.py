"""A program that supervisord runs, asked about and commanded over its XML-RPC, on a socket of this host or over HTTP.

http://supervisord.org/api.html has the methods and states.
"""

from __future__ import annotations

import http.client
import xmlrpc.client
from base64 import b64encode
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from mendline.managers.unix_http import UnixConnection
from mendline.schemas.secrets import SecretError, read_secret

if TYPE_CHECKING:
    from mendline.schemas.secrets import Reference
    from mendline.schemas.settings import ProcessSettings

ABOUT_TO_RUN = frozenset({"STARTING", "BACKOFF"})
MEANT = frozenset({"STOPPED", "STOPPING"})
MOST_ANSWER = 2**20
WAIT = True


class SupervisordError(Exception):
    """Raised when supervisord does not answer or refuses; the message says why."""


class Program(NamedTuple):
    """What supervisord says of a program. `state` is a word of its own, `pid` None while there is no process."""

    state: str
    pid: int | None
    text: str


class Supervisord:
    """The server at `url`: `unix:///PATH`, or `http://HOST:PORT` for one on TCP. Used from several threads."""

    def __init__(self, url: str, user: str = "", password: Reference | None = None) -> None:
        """Connect at each call; `user` and `password`, a reference, are those of its configuration, if it has any."""
        self.url = url
        self._user = user
        self._password = password

    @classmethod
    def of(cls, settings: ProcessSettings) -> Supervisord:
        """Return the server that a service's settings name."""
        return cls(settings.supervisord, settings.supervisord_user, settings.supervisord_password)

    def program(self, name: str, timeout_s: float) -> Program:
        """Return what is known of the program. Raises SupervisordError, TimeoutError."""
        found = self._call("getProcessInfo", timeout_s, name)
        text = str(found.get("spawnerr") or found.get("description") or "")
        return Program(str(found.get("statename")), int(found.get("pid") or 0) or None, text)

    def stop(self, name: str, timeout_s: float) -> None:
        """Stop it: asked first, then by force after its `stopwaitsecs`. Raises SupervisordError, TimeoutError."""
        self._call("stopProcess", timeout_s, name, WAIT)

    def start(self, name: str, timeout_s: float) -> None:
        """Start it and wait until it has run for its `startsecs`. Raises SupervisordError, TimeoutError."""
        self._call("startProcess", timeout_s, name, WAIT)

    def _call(self, method: str, timeout_s: float, *arguments: object) -> Any:
        body = xmlrpc.client.dumps(arguments, f"supervisor.{method}").encode()  # type: ignore[arg-type]
        headers = {"Content-Type": "text/xml"} | self._credentials()
        connection = self._connection(timeout_s)
        try:
            connection.request("POST", "/RPC2", body, headers)
            with closing(connection.getresponse()) as answer:
                if answer.status != http.client.OK:
                    msg = f"supervisord at {self.url} answers {answer.status} {answer.reason}"
                    raise SupervisordError(msg)
                return xmlrpc.client.loads(answer.read(MOST_ANSWER))[0][0]
        except TimeoutError:
            raise
        except xmlrpc.client.Fault as error:
            msg = f"supervisord refuses {method}: {error.faultString}"
            raise SupervisordError(msg) from error
        except (OSError, http.client.HTTPException, ValueError, IndexError) as error:
            msg = f"supervisord at {self.url} does not answer: {getattr(error, 'strerror', None) or error}"
            raise SupervisordError(msg) from error
        finally:
            connection.close()

    def _credentials(self) -> dict[str, str]:
        """Return the header for the user, if there is one; the password is read anew. Raises SupervisordError."""
        if not self._user:
            return {}
        try:
            password = read_secret(self._password) if self._password else ""
        except SecretError as error:
            msg = f"the password of {self._user} at {self.url}: {error}"
            raise SupervisordError(msg) from error
        return {"Authorization": f"Basic {b64encode(f'{self._user}:{password}'.encode()).decode()}"}

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        place = urlsplit(self.url)
        if place.scheme == "unix":
            return UnixConnection(place.path, timeout_s)
        return http.client.HTTPConnection(place.hostname or "127.0.0.1", place.port, timeout=timeout_s)
