"""What a webhook gets: proof of who sent it, and JSON in the form that it wants."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from mendline.config import ConfigError
from mendline.config.files import parse_settings
from mendline.responders.action import PermanentError
from mendline.responders.notify import tell
from mendline.responders.webhook import post
from mendline.schemas.settings import NotifySettings
from tests.responders.webhooks import Webhook, webhook

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
PAGE = Path(__file__).parents[2] / "docs" / "notifications.md"
MESSAGE = {"id": "d-1", "text": 'web is "dead" & <b>', "detail": "why", "time": 1_700_000_000_000, "target": "h/web"}


@pytest.fixture(scope="module", name="hook")
def _hook() -> Iterator[Webhook]:
    with webhook() as server:
        yield server


@pytest.fixture(name="secret")
def _secret(tmp_path: Path) -> str:
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    return f"file:{file}"


def documented() -> Any:
    """Return the function that the documentation gives to receivers."""
    found: dict[str, Any] = {}
    (code,) = re.findall(r"```python\n(.*?def verified.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    exec(compile(code, str(PAGE), "exec"), found)  # noqa: S102 - the page's own example
    return found["verified"]


def test_the_documented_function_believes_what_is_sent(hook: Webhook, secret: str) -> None:
    """And nothing that was changed, is older than it may be, or signed by somebody else."""
    post(hook.url, MESSAGE, name="d-1", secret=secret)
    headers, body = hook.heard[-1]
    now = int(headers["webhook-timestamp"])
    verified = documented()
    assert verified(headers, body, SECRET, now + 299)
    assert not verified(headers, body.replace(b"dead", b"well"), SECRET, now)
    assert not verified(headers | {"webhook-id": "d-2"}, body, SECRET, now)
    assert not verified(headers, body, SECRET, now + 301)
    assert not verified(headers | {"webhook-timestamp": str(now + 1)}, body, SECRET, now)
    assert not verified(headers, body, "whsec_" + "A" * 32, now)
    assert not verified({}, body, SECRET, now)


def test_without_a_secret_the_delivery_is_named_all_the_same(hook: Webhook) -> None:
    """A receiver can drop what it has by the id alone."""
    post(hook.url, MESSAGE, name="d-1")
    headers = hook.heard[-1].headers
    assert ("d-1", None) == (headers["webhook-id"], headers.get("webhook-signature"))


@pytest.mark.parametrize("given", ["", "whsec_no base64"])
def test_without_a_secret_that_can_be_used_nothing_is_sent(hook: Webhook, tmp_path: Path, given: str) -> None:
    """An unsigned message would be refused, or worse believed."""
    (tmp_path / "wrong").write_text(given)
    before = len(hook.heard)
    with pytest.raises(PermanentError, match="nothing can be signed with file:") as told:
        post(hook.url, {}, secret=f"file:{tmp_path}/wrong")
    assert before == len(hook.heard)
    assert "no base64" not in str(told.value)


def received(hook: Webhook, **settings: object) -> Any:
    """Return what a receiver with these settings gets of the message."""
    tell(NotifySettings.model_validate({"webhook": hook.url, **settings}), MESSAGE)
    return hook.heard[-1].json


def test_slack_gets_one_text_and_no_markup(hook: Webhook) -> None:
    """What a service prints must not become a link or a mention."""
    assert {"text": 'web is "dead" &amp; &lt;b&gt;\nwhy'} == received(hook, format="slack")


def test_a_template_is_filled_and_nothing_in_a_message_breaks_out_of_it(hook: Webhook) -> None:
    """Quotes stay in their text, numbers stay numbers, what a message has not is empty."""
    template: Mapping[str, object] = {
        "summary": "$target: ${text}",
        "tags": ["at ${at}", "${kind}", "cost: $$5"],
        "priority": 2,
    }
    assert {
        "summary": 'h/web: web is "dead" & <b>',
        "tags": ["at 2023-11-14T22:13:20+00:00", "", "cost: $5"],
        "priority": 2,
    } == received(hook, template=template)


def test_a_template_with_a_field_that_is_none_is_refused_with_its_line() -> None:
    """Before anything runs."""
    with pytest.raises(ConfigError, match=r"f:2: notify.0.template: there is no field owner; known: id, what"):
        parse_settings("notify:\n  - {webhook: 'http://h/', template: {a: '${owner}'}}\n", "f")


def test_a_secret_is_for_a_webhook_only() -> None:
    """A letter cannot be signed with it."""
    email = {"to": ["a@b"], "sender": "c@d", "server": "h:25"}
    with pytest.raises(ValueError, match="secret, format and template are for a webhook"):
        NotifySettings.model_validate({"email": email, "secret": "env:SECRET"})
