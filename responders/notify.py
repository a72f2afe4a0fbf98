"""Tell people: POST what happened, as JSON, to webhooks, or send it by e-mail."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mendline.responders.action import ActionContext, PermanentError, TemporaryError
from mendline.responders.parameters import AnyParameters
from mendline.schemas.secrets import SecretError, is_reference, read_secret

if TYPE_CHECKING:
    from mendline.schemas.settings import NotifySettings

ANSWER_WITHIN_S = 5.0
RETRY_AFTER_S = 1.0
SERVER_AT_FAULT = 500
TOO_MANY = 429
SHORTEST_S = 0.05
REMEMBERED = 256


def post(webhook: str, message: Mapping[str, object], timeout_s: float = ANSWER_WITHIN_S) -> None:
    """Send `message` as JSON to `webhook`, a URL or a reference to one, waiting up to `timeout_s` s for the answer.

    Raises PermanentError when the other side refuses it (HTTP 4xx, no HTTP at all), TemporaryError when another try
    may help (no connection, no answer, HTTP 5xx and 429). What they say holds of the URL the host only: its path may
    be a secret.
    """
    import http.client
    import urllib.error
    import urllib.request

    url = _url_of(webhook)
    name = webhook if is_reference(webhook) else _without_path(url)
    headers = {"Content-Type": "application/json", "User-Agent": "mendline"}
    try:
        request = urllib.request.Request(url, json.dumps(message).encode(), headers)  # noqa: S310 - checked above
        with urllib.request.urlopen(request, timeout=timeout_s):  # noqa: S310 - checked above
            pass
    except urllib.error.HTTPError as error:
        error.close()
        msg = f"the webhook {name} answered {error.code} {error.reason}"
        if error.code >= SERVER_AT_FAULT or error.code == TOO_MANY:
            raise TemporaryError(msg, RETRY_AFTER_S) from error
        raise PermanentError(msg) from error
    except (http.client.InvalidURL, ValueError):
        msg = f"{name} is no webhook: its URL has a wrong port, spaces or signs that a URL must not have"
        raise PermanentError(msg) from None  # the cause repeats the URL
    except (OSError, http.client.HTTPException) as error:
        msg = f"the webhook {name} cannot be reached: {getattr(error, 'reason', error)}"
        raise TemporaryError(msg, RETRY_AFTER_S) from error


def _url_of(webhook: str) -> str:
    """Return the URL, read from where it stands if need be. Raises PermanentError."""
    try:
        url = read_secret(webhook) if is_reference(webhook) else webhook
    except SecretError as error:
        msg = f"the webhook cannot be told: {error}"
        raise PermanentError(msg) from error
    if not url.startswith(("http://", "https://")):
        msg = "what is given is no webhook: it must begin with http:// or https://"
        raise PermanentError(msg)
    return url


def _without_path(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{re.split('[/?#]', rest, maxsplit=1)[0].rpartition('@')[2]}"


def tell(receiver: NotifySettings, message: Mapping[str, object], timeout_s: float = ANSWER_WITHIN_S) -> None:
    """Tell one receiver of the settings. Raises PermanentError and TemporaryError, as `post` and `send_mail` do."""
    from mendline.responders.mail import send_mail

    if receiver.email:
        send_mail(receiver.email, message, timeout_s)
    elif receiver.webhook:
        post(receiver.webhook, message, timeout_s)


class Notify:
    """Tell the receivers of this host's settings that a policy came to this step."""

    name = "notify"
    touches = False
    Parameters = AnyParameters

    def __init__(self, receivers: Sequence[NotifySettings]) -> None:
        """Tell all of `receivers`."""
        self._receivers = tuple(receivers)
        self._told: dict[str, set[int]] = {}

    def run(self, context: ActionContext) -> str:
        """Return how many were told. Raises PermanentError, TemporaryError; a repeat tells who did not hear."""
        if not self._receivers:
            msg = "there is nobody to tell: the settings have no `notify`"
            raise PermanentError(msg)
        target = f"{context.host}/{context.service}" if context.service else context.host
        message = {
            "what": "notify",
            "text": f"a policy wants you to know of {target}",
            "target": target,
            "intent": context.intent,
            "parameters": dict(context.parameters),
        }
        deadline = time.monotonic() + context.timeout_s
        told = self._told_of(context.intent)
        for number, receiver in enumerate(self._receivers):
            if number not in told:
                tell(receiver, message, min(ANSWER_WITHIN_S, max(deadline - time.monotonic(), SHORTEST_S)))
                told.add(number)
        return f"{len(told)} told"

    def _told_of(self, intent: str) -> set[int]:
        """Return who heard of the intent, in this life of the agent."""
        while len(self._told) >= REMEMBERED:
            self._told.pop(next(iter(self._told)))
        return self._told.setdefault(intent, set())
