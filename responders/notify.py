"""Tell people: POST what happened, as JSON, to webhooks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from mendline.responders.action import ActionContext, PermanentError, TemporaryError

ANSWER_WITHIN_S = 5.0
RETRY_AFTER_S = 1.0
SERVER_AT_FAULT = 500
TOO_MANY = 429


def post(url: str, message: Mapping[str, object], timeout_s: float = ANSWER_WITHIN_S) -> None:
    """Send `message` as JSON to `url`, waiting up to `timeout_s` seconds for the answer.

    Raises PermanentError when the other side refuses it (HTTP 4xx, no HTTP at all), TemporaryError when another try
    may help (no connection, no answer, HTTP 5xx and 429).
    """
    import http.client
    import urllib.error
    import urllib.request

    if not url.startswith(("http://", "https://")):
        msg = f"{url!r} is no webhook: it must begin with http:// or https://"
        raise PermanentError(msg)
    request = urllib.request.Request(  # noqa: S310 - checked above
        url, json.dumps(message).encode(), {"Content-Type": "application/json", "User-Agent": "mendline"}
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout_s):  # noqa: S310 - checked above
            pass
    except urllib.error.HTTPError as error:
        error.close()
        msg = f"the webhook {url} answered {error.code} {error.reason}"
        if error.code >= SERVER_AT_FAULT or error.code == TOO_MANY:
            raise TemporaryError(msg, RETRY_AFTER_S) from error
        raise PermanentError(msg) from error
    except http.client.InvalidURL as error:
        msg = f"{url!r} is no webhook: {error}"
        raise PermanentError(msg) from error
    except (OSError, http.client.HTTPException) as error:
        msg = f"the webhook {url} cannot be reached: {getattr(error, 'reason', error)}"
        raise TemporaryError(msg, RETRY_AFTER_S) from error


class Notify:
    """Tell the webhooks of this host's settings that a policy came to this step."""

    name = "notify"

    def __init__(self, webhooks: Sequence[str]) -> None:
        """Post to all of `webhooks`."""
        self._webhooks = tuple(webhooks)

    def run(self, context: ActionContext) -> str:
        """Return how many were told. Raises PermanentError and TemporaryError; a repeat tells all of them again."""
        if not self._webhooks:
            msg = "there is nobody to tell: the settings have no `notify`"
            raise PermanentError(msg)
        message = {
            "what": "notify",
            "target": f"{context.host}/{context.service}",
            "intent": context.intent,
            "parameters": dict(context.parameters),
        }
        for url in self._webhooks:
            post(url, message, min(ANSWER_WITHIN_S, context.timeout_s))
        return f"{len(self._webhooks)} webhooks told"
