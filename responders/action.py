"""The contract of an action: one deed on one service of this host.

An action is a class with a `name` and one method, `run`. What the executor does next is read off the type of the
error that comes out:

    PermanentError      trying again is useless: the outcome is `failed`
    TemporaryError      worth another try after `delay_s`, while the command's time lasts; then `failed`
    DeniedError         the user Mendline runs under may not: the outcome is `refused`, and says what would allow it
    TimeoutError        the bound was reached inside the action: the outcome is `timed_out`
    DeferredError       another healer is about to do it: `deferred`, no try, and it is asked for again a little later
    OvertakenError      somebody else has done it since: the outcome is `overtaken`, and the fault gets time to resolve

Any other exception is a fault of the action itself: `failed`, with its type and message. No error: `succeeded`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from mendline.responders.masking import cut_to, masked
from mendline.schemas.settings import ServiceSettings

MOST_OF_ONE = 4_000
MOST_ATTACHED = 16_000

Parameter = str | int | float | bool


class PermanentError(Exception):
    """Raised by an action when trying again is useless; the message becomes the outcome's reason."""


class DeniedError(PermanentError):
    """Raised by an action that this host's own user may not do: nothing was done, and the outcome is `refused`."""


class OvertakenError(Exception):
    """Raised by an action that did nothing, because somebody else had done it before; the message says so."""


class DeferredError(Exception):
    """Raised by an action that did nothing, because another healer is about to mend the target; the message says who.

    It is commanded again later, in case that one gives up: nobody waits in it.
    """


class TemporaryError(Exception):
    """Raised by an action when another try may help.

    `delay_s` is how long to wait before it, in seconds.
    """

    def __init__(self, message: str, delay_s: float = 1.0) -> None:
        """Say what failed, and after how many seconds another try makes sense."""
        super().__init__(message)
        self.delay_s = delay_s


class TooSoonError(Exception):
    """Raised by `take_back` when the deed is not to be undone yet; it is called again after `delay_s` seconds."""

    def __init__(self, delay_s: float) -> None:
        """Say in how many seconds it makes sense."""
        super().__init__(f"not before {delay_s:.0f} s have passed")
        self.delay_s = delay_s


@dataclass(frozen=True, slots=True)
class ActionContext:
    """What an action is told.

    `host` and `service` name the target; `settings` is the service as this host's own file describes it, and the only
    place from which command lines, units and paths may come. `parameters` are the step's, names and numbers that came
    over the log: never make a command line of them. `timeout_s` is what is left of the command's time, in seconds:
    return or raise before it is over. `intent` names the deed in messages. `started_since` says that the service's
    process was started after the evidence for the deed, so that the evidence is about another; empty if it was not.
    `evidence_time` is when the newest evidence for it was seen, ms by this host's clock; None where a person wants it.
    `attached` is what people should see beside the outcome: `attach` adds to it.
    """

    intent: str
    host: str
    service: str
    settings: ServiceSettings
    timeout_s: float
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    started_since: str = ""
    evidence_time: int | None = None
    attached: dict[str, str] = field(default_factory=dict)

    def attach(self, name: str, text: str) -> None:
        """Show `text` beside the outcome, under `name`: secrets masked, the end of it when it is long.

        One text is cut to 4,000 bytes and all together to 16,000; what does not fit is left out. Empty texts are too.
        """
        room = MOST_ATTACHED - sum(len(one.encode()) for one in self.attached.values())
        if text and (kept := cut_to(masked(text), min(room, MOST_OF_ONE))):
            self.attached[name] = kept


class Action(Protocol):
    """A deed that policies name. One instance serves all services, from several threads.

    A class whose deeds can be undone may have a method `take_back`, with the signature of `run`. It is called when the
    fault of an intent is over that had the parameter `return: true`, or whose cancel came while it was at work: with a
    context that has the intent and no parameters, maybe more than once. It returns an empty text when there is nothing
    to undo, and raises TooSoonError to be called later.

    A class `Parameters` in it, a pydantic model such as `StepParameters` of `mendline.responders.parameters`, says what
    a step may give it: what does not fit is told by `mendline check`, and refused by the host.

    A class whose `touches` is False does nothing to the service, so it needs neither one nor the host's `allow`.
    """

    @property
    def name(self) -> str:
        """The word by which policies and `allow` name it."""

    def run(self, context: ActionContext) -> str:
        """Do it, and return in a few words what was done.

        Runs on a thread of its own and may block up to `context.timeout_s`. Raises PermanentError, TemporaryError,
        DeferredError, OvertakenError or TimeoutError.
        """
