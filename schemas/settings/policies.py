"""What is done about faults, under which guards."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from mendline.schemas.base import Frozen
from mendline.schemas.playbooks import PLAYBOOKS
from mendline.schemas.settings.units import Duration, Name


class PolicyMatch(Frozen):
    """Which faults a policy is about; every given field must match. Strings are shell patterns."""

    target: str = Field(default="*", description="HOST/SERVICE or SERVICE, shell pattern")
    group: str = Field(default="", description="only hosts of this one of the `groups`; default: all hosts")
    labels: dict[Name, str] = Field(
        default_factory=dict, description="`labels` that the service must have, by name; values are shell patterns"
    )
    detector: tuple[str, ...] = Field(default=("*",), description="names of detectors")
    kind: tuple[str, ...] = Field(default=("*",), description="kinds of fault, such as dead or hung")
    severity: tuple[Literal["info", "warning", "critical"], ...] = Field(
        default=("info", "warning", "critical"), description="severities of the fault"
    )
    series: str = Field(default="*", description="series of the evidence, with its attributes: METRIC{NAME=VALUE,…}")
    cause: Literal["any", "configuration", "dependency"] = Field(
        default="any",
        description="only where a configuration of the service was changed in the ten minutes before, or where a "
        "service that it depends on is down",
    )


class StepMatch(Frozen):
    """On which faults a step is done; on others it is left out. A fault may have another kind by now than at first."""

    kind: tuple[str, ...] = Field(default=("*",), description="kinds of fault, shell patterns")
    severity: tuple[Literal["info", "warning", "critical"], ...] = Field(
        default=("info", "warning", "critical"), description="severities of the fault"
    )
    after_tries: int = Field(
        default=0,
        ge=0,
        description="so often the other steps of the play must have been tried, those included that did not last; a "
        "step that stands before them comes in between then",
    )


class StepSettings(Frozen):
    """One step of a playbook: an action, its bounds, how its effect is verified, and what comes after a failure."""

    when: StepMatch = StepMatch()
    action: str = Field(description="name of the action, or `ask` to leave it to a person")
    parameters: dict[str, str | int | float | bool] = Field(
        default_factory=dict, description="the action's own settings: names and numbers, never a command line"
    )
    timeout: Duration = Field(default=30_000, description="the action must have ended by then")
    verify: Duration = Field(default=10_000, description="the fault must have resolved by then")
    attempts: int = Field(
        default=3,
        gt=0,
        description="tries of this step before the next one, those included that did not last for the guards' `window`",
    )
    stable: Duration = Field(default=0, description="it counts as mended when the fault stayed away for so long")
    on_failure: Literal["next", "ask", "escalate", "stop"] = Field(
        default="next",
        description="after the last try: take the next step, leave the fault to a person, tell people that it could "
        "not be mended, or do nothing more, a person's approval included",
    )


class GuardSettings(Frozen):
    """Bounds on what may be done, and how often. Times are log time of the journal."""

    cooldown: Duration = Field(
        default=30_000,
        description="pause on a target between actions; doubled for each further one within `window`, with jitter",
    )
    attempts: int = Field(default=5, gt=0, description="actions on one target within `window` before the breaker opens")
    window: Duration = Field(default=600_000, description="over which attempts are counted")
    breaker: Duration = Field(default=1_800_000, description="how long an open breaker holds before one more try")
    concurrent: int = Field(default=2, gt=0, description="actions at work at the same time in the scope")
    concurrent_in_group: int | None = Field(
        default=None,
        gt=0,
        description="those of them on targets of one service, or on hosts of one of `groups`; default: all of them",
    )
    fresh: Duration = Field(default=10_000, description="evidence older than this, or a blind pipeline, holds fire")
    blast_radius: float = Field(
        default=0.3, gt=0, le=1, description="share of targets of a service sick beyond which all is held"
    )
    patience: Duration = Field(
        default=600_000,
        description="so long a service waits until those that it depends on are mended; then a person is asked",
    )


class DriftSettings(Frozen):
    """Hosts that should have the same configuration of a service; one that has another has a fault, `drift`."""

    service: Name = Field(description="a service with `config` on these hosts")
    hosts: str = Field(default="*", description="which hosts, shell pattern; the first entry that means a host counts")
    group: str = Field(default="", description="only hosts of this group of `groups`")
    declared: str = Field(
        default="",
        pattern=r"^([0-9a-f]{8,32})?$",
        description="beginning of the version they should have, as `mendline configs drift` shows it; empty: the one "
        "that most of them have",
    )
    hold: Duration = Field(
        default=600_000,
        gt=0,
        description="no host may have changed for so long: what is being rolled out is no drift. Log time",
    )


class PolicySettings(Frozen):
    """Which faults are mended, how, and how much a person has to say in it. The first policy that matches wins."""

    name: Name = Field(description="stands in its intents; unique in the file")
    when: PolicyMatch = PolicyMatch()
    mode: Literal["shadow", "ask", "auto"] = Field(default="shadow", description="record only, ask a person, or act")
    owner: str = Field(default="", description="who answers for it; stands in what asks for a person")
    playbook: str = Field(default="", exclude=True, description="one that comes with Mendline, instead of `play`")
    play: tuple[StepSettings, ...] = Field(min_length=1, description="what is tried, in this order")
    guards: GuardSettings | None = Field(default=None, description="instead of the common `guards`")
    flapping: Literal["hold", "act"] = Field(
        default="hold", description="what to do about a fault that comes and goes: nothing yet, or what the play says"
    )

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        """Write the playbook that is named in the place of `play`, and what it is about where `when` leaves it open."""
        if not isinstance(given, dict) or not given.get("playbook"):
            return given
        if "play" in given:
            msg = "give either play or playbook"
            raise ValueError(msg)
        name, when = given["playbook"], given.get("when") or {}
        if name not in PLAYBOOKS:
            msg = f"there is no playbook {name!r}; known are {', '.join(PLAYBOOKS)}"
            raise ValueError(msg)
        about = dict(PLAYBOOKS[name])
        play = about.pop("play")
        return given | {"play": play, "when": about | dict(when)} if isinstance(when, dict) else given
