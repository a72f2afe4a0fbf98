"""POST to a webhook: JSON, signed if the settings name a secret, under an id by which a repeat can be told.

The headers are those of Standard Webhooks (https://www.standardwebhooks.com), for which most languages have a library.
`webhook-signature` is HMAC-SHA-256 over `ID.TIMESTAMP.BODY`, so an old message cannot be sent again as a new one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Mapping

from mendline.responders.action import PermanentError, TemporaryError
from mendline.schemas.secrets import SecretError, is_reference, read_secret

ANSWER_WITHIN_S = 5.0
RETRY_AFTER_S = 1.0
SERVER_AT_FAULT = 500
TOO_MANY = 429
ENCODED = "whsec_"
"""What a secret begins with that is written in base64, as such libraries make them."""


def post(
    webhook: str,
    message: object,
    timeout_s: float = ANSWER_WITHIN_S,
    *,
    path: str = "",
    name: str = "",
    secret: str | None = None,
    token: str | None = None,
) -> None:
    """Send `message` as JSON to `webhook`, a URL or a reference to one, waiting up to `timeout_s` s for the answer.

    `path` is added to the URL. `name` is the delivery's id, the same when it is tried again; `secret` says where what
    it is signed with stands, `token` where one does that is shown as Bearer.
    Raises PermanentError when the other side refuses it (HTTP 4xx, no HTTP at all), TemporaryError when another try
    may help (no connection, no answer, HTTP 5xx and 429). What they say holds of the URL the host only: its path may
    be a secret.
    """
    import http.client
    import urllib.error
    import urllib.request

    url = f"{_url_of(webhook).rstrip('/')}{path}" if path else _url_of(webhook)
    shown = webhook if is_reference(webhook) else _without_path(url)
    body = json.dumps(message).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "mendline",
        **_proof(name, body, secret),
        **_bearer(token),
    }
    try:
        request = urllib.request.Request(url, body, headers)  # noqa: S310 - checked above
        with urllib.request.urlopen(request, timeout=timeout_s):  # noqa: S310 - checked above
            pass
    except urllib.error.HTTPError as error:
        error.close()
        msg = f"the webhook {shown} answered {error.code} {error.reason}"
        if error.code >= SERVER_AT_FAULT or error.code == TOO_MANY:
            raise TemporaryError(msg, RETRY_AFTER_S) from error
        raise PermanentError(msg) from error
    except (http.client.InvalidURL, ValueError):
        msg = f"{shown} is no webhook: its URL has a wrong port, spaces or signs that a URL must not have"
        raise PermanentError(msg) from None  # the cause repeats the URL
    except (OSError, http.client.HTTPException) as error:
        msg = f"the webhook {shown} cannot be reached: {getattr(error, 'reason', error)}"
        raise TemporaryError(msg, RETRY_AFTER_S) from error


def signature(secret: str, name: str, timestamp_s: int, body: bytes) -> str:
    """Return what stands in `webhook-signature`. Raises ValueError for a secret in base64 that is none.

    >>> body = b'{"email":"test@example.com","username":"test_user"}'
    >>> signature("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, body)
    'v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw='
    """
    encoded = secret.startswith(ENCODED)
    key = base64.b64decode(secret.removeprefix(ENCODED), validate=True) if encoded else secret.encode()
    return "v1," + base64.b64encode(hmac.digest(key, f"{name}.{timestamp_s}.".encode() + body, "sha256")).decode()


def _proof(name: str, body: bytes, secret: str | None) -> Mapping[str, str]:
    """Return the headers that tell which delivery it is, and prove who sent it when. Raises PermanentError."""
    headers = {"webhook-id": name} if name else {}
    if not secret:
        return headers
    name, now_s = name or hashlib.sha256(body).hexdigest(), int(time.time())
    try:
        value = signature(read_secret(secret), name, now_s, body)
    except (SecretError, ValueError) as error:
        msg = f"nothing can be signed with {secret}: {error}"
        raise PermanentError(msg) from error
    return {"webhook-id": name, "webhook-timestamp": str(now_s), "webhook-signature": value}


def _bearer(token: str | None) -> Mapping[str, str]:
    try:
        return {"Authorization": f"Bearer {read_secret(token)}"} if token else {}
    except SecretError as error:
        msg = f"the token cannot be told: {error}"
        raise PermanentError(msg) from error


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
