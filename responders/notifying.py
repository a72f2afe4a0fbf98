"""Receivers made of the settings."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from mendline.responders.alertmanager import Alerts
from mendline.responders.channel import Messages
from mendline.responders.links import Address
from mendline.responders.notifier import Channel
from mendline.responders.notify import tell
from mendline.responders.parcels import Dispatch
from mendline.responders.reached import Home, Reached
from mendline.responders.receiver import Pace, Receiver
from mendline.responders.sender import Sender

if TYPE_CHECKING:
    from mendline.schemas.settings import NotifySettings


def names_of(settings: Sequence[NotifySettings]) -> list[str]:
    """Return the receivers' names: those given, else what each is with its place, from 1."""
    return [one.name or f"{_way(one)}-{place}" for place, one in enumerate(settings, 1)]


def _way(one: NotifySettings) -> str:
    return "email" if one.email else "alertmanager" if one.alertmanager else "webhook"


def channels(settings: Sequence[NotifySettings], home: Home, address: Address | None = None) -> list[Channel]:
    """Return the receivers that the settings name; `address` is that of the page, if people reach it."""
    names = names_of(settings)
    return [_channel(one, Reached(name, home), address) for name, one in zip(names, settings, strict=True)]


def _channel(one: NotifySettings, reached: Reached, address: Address | None) -> Channel:
    if one.alertmanager:
        return Alerts(one.alertmanager, reached, address.page_of if address else lambda _: "")
    receiver = Receiver(_pace(one))
    if address:
        receiver = Receiver(_pace(one), address.enrich(reached.name, answers=one.answers))
    return Messages(Sender(Dispatch(partial(tell, one), one.give_up / 1000), reached), receiver)


def _pace(one: NotifySettings) -> Pace:
    return Pace(one.wait / 1000, one.interval / 1000, one.repeat / 1000, one.after / 1000, one.quiet)
