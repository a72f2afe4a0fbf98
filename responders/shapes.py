"""The JSON that a webhook gets: Mendline's own, Slack's, or one by a template of the settings.

A template is JSON with `${field}` in its texts. Fields go into texts that were read already, so that nothing a message
holds can change what stands around it; there are no expressions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from string import Template
from typing import TYPE_CHECKING

from mendline.responders.grouping import Message

if TYPE_CHECKING:
    from mendline.schemas.settings import NotifySettings

FIELDS = (
    *("id", "what", "text", "detail", "target", "kind", "severity", "fault", "time", "at", "count"),
    *("receiver", "ask", "answer", "link", "page"),
)
"""What a template may name; a field that a message has not is empty."""
PARTS = ("text", "detail", "ask", "answer", "link", "page")
"""What people read of a message, in this order."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def shaped(receiver: NotifySettings, message: Message) -> object:
    """Return what `receiver` gets of the message."""
    if receiver.template is not None:
        return filled(receiver.template, fields(message))
    return slack(message) if receiver.format == "slack" else message


def fields(message: Message) -> Mapping[str, str]:
    """Return each field as text; `at` is `time` (ms) by the calendar, UTC."""
    told = {name: message[name] for name in FIELDS if message.get(name) is not None}
    return dict.fromkeys(FIELDS, "") | {name: str(value) for name, value in told.items()} | {"at": _at(message)}


def _at(message: Message) -> str:
    moment = message.get("time")
    try:
        return (EPOCH + timedelta(milliseconds=moment)).isoformat() if isinstance(moment, int) else ""
    except OverflowError:
        return ""


def filled(template: object, values: Mapping[str, str]) -> object:
    """Return the template with its fields filled in.

    >>> filled({"title": "${text}", "tags": ["cost: $$5"]}, {"text": 'a "quoted" word'})
    {'title': 'a "quoted" word', 'tags': ['cost: $5']}
    """
    if isinstance(template, str):
        return Template(template).safe_substitute(values)
    if isinstance(template, Mapping):
        return {name: filled(one, values) for name, one in template.items()}
    if isinstance(template, list | tuple):
        return [filled(one, values) for one in template]
    return template


def misnamed(template: object) -> Iterator[str]:
    """Yield what is wrong with a template: names that are no fields, and a $ that begins none.

    >>> list(misnamed({"title": "${text} for $owner", "cost": ["$ 5"]}))
    ['there is no field owner', "'$ 5' has a $ that begins no field; write $$"]
    """
    if isinstance(template, str):
        if not Template(template).is_valid():
            yield f"{template!r} has a $ that begins no field; write $$"
        yield from (f"there is no field {one}" for one in Template(template).get_identifiers() if one not in FIELDS)
    elif isinstance(template, Mapping):
        for one in template.values():
            yield from misnamed(one)
    elif isinstance(template, list | tuple):
        for one in template:
            yield from misnamed(one)


def slack(message: Message) -> Mapping[str, str]:
    r"""Return the message as Slack's incoming webhooks take it, and Mattermost's; nothing in it is markup.

    >>> slack({"text": "web <dead>", "detail": "a & b"})
    {'text': 'web &lt;dead&gt;\na &amp; b'}
    """
    parts = (message.get(name) for name in PARTS)
    text = "\n".join(str(part) for part in parts if part)
    return {"text": text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")}
