"""Tell people of the settings: by webhook or e-mail."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mendline.responders.action import ActionContext, PermanentError
from mendline.responders.parameters import AnyParameters
from mendline.responders.shapes import shaped
from mendline.responders.webhook import ANSWER_WITHIN_S, post
from mendline.schemas.base import record_id

if TYPE_CHECKING:
    from mendline.schemas.settings import NotifySettings

SHORTEST_S = 0.05
REMEMBERED = 256


def tell(receiver: NotifySettings, message: Mapping[str, object], timeout_s: float = ANSWER_WITHIN_S) -> None:
    """Tell one receiver of the settings; `id` of the message is the delivery's. Raises as `post` and `send_mail` do."""
    from mendline.responders.mail import send_mail

    if receiver.email:
        send_mail(receiver.email, message, timeout_s)
    elif receiver.webhook:
        name = str(message.get("id", ""))
        post(receiver.webhook, shaped(receiver, message), timeout_s, name=name, secret=receiver.secret)


class Notify:
    """Tell the receivers of this host's settings that a policy came to this step."""

    name = "notify"
    touches = False
    Parameters = AnyParameters

    def __init__(self, receivers: Sequence[NotifySettings]) -> None:
        """Tell those of `receivers` that take messages, and at once."""
        self._receivers = tuple(one for one in receivers if not one.alertmanager and not one.after)
        self._told: dict[str, set[int]] = {}

    def run(self, context: ActionContext) -> str:
        """Return how many were told. Raises PermanentError, TemporaryError; a repeat tells who did not hear."""
        if not self._receivers:
            msg = "there is nobody to tell: the settings have no `notify`, or none that hears at once"
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
                name = record_id("delivery", context.intent, number)
                tell(
                    receiver,
                    {"id": name, **message},
                    min(ANSWER_WITHIN_S, max(deadline - time.monotonic(), SHORTEST_S)),
                )
                told.add(number)
        return f"{len(told)} told"

    def _told_of(self, intent: str) -> set[int]:
        """Return who heard of the intent, in this life of the agent."""
        while len(self._told) >= REMEMBERED:
            self._told.pop(next(iter(self._told)))
        return self._told.setdefault(intent, set())
