"""The roles a process can play: which stages its members run, and under which settings."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mendline.detectors.configuring import check, config_hash
from mendline.detectors.patience import UNLIMITED, Patience
from mendline.detectors.registry import DetectorError
from mendline.detectors.stage import DetectStage, RoundsStage
from mendline.keys import Vouching, key_ring
from mendline.logs.partitioner import partition_of
from mendline.names import claim_name, source_name
from mendline.processors.windows import WindowsStage
from mendline.producers.defaults import DETECTORS
from mendline.responders.links import Address
from mendline.responders.notifier import Notifier
from mendline.responders.notifying import channels
from mendline.responders.planner import PlannerStage, Signer
from mendline.responders.reached import Home
from mendline.responders.receiver import Moment
from mendline.responders.watchdog import Watchdog
from mendline.runtime.apart import Apart, go_without
from mendline.runtime.follower import Follower, Listener
from mendline.runtime.member import Member
from mendline.runtime.metrics import Metrics
from mendline.runtime.patience import Watch
from mendline.runtime.spec import StageSpec
from mendline.runtime.together import Runner
from mendline.runtime.writer import JournalWriter

if TYPE_CHECKING:
    from mendline.logs.base import Log
    from mendline.responders.signing import KeyRing
    from mendline.schemas.doubts import Vouch
    from mendline.schemas.settings import Settings, StoreSettings
    from mendline.schemas.stream import Partition

SEVERAL_WINDOWS = 3


def windows_spec(settings: Settings) -> StageSpec:
    """Return the stage that makes windows of rounds."""
    widest = max([*settings.windows.widths, *(width for width, _ in settings.windows.hopping)])
    return StageSpec(
        name="windows",
        topic=settings.topics.topic("metrics"),
        make=partial(WindowsStage, settings),
        config=config_hash(settings.windows),
        warm_up_ms=SEVERAL_WINDOWS * (widest + settings.windows.grace),
        dead_letters=True,
    )


def rounds_spec(settings: Settings, keys: KeyRing, patience: Patience = UNLIMITED) -> StageSpec:
    """Return the stage that watches over rounds and events as they come, and believes whom `keys` believe."""
    return vouched_rounds_spec(settings, Vouching(keys), patience)


def vouched_rounds_spec(settings: Settings, vouch: Vouch, patience: Patience = UNLIMITED) -> StageSpec:
    """Return the same stage; `vouch` says whom it does not believe."""
    return StageSpec(
        name="rounds",
        topic=settings.topics.topic("metrics"),
        make=partial(_rounds_stage, settings, vouch, patience),
        config=RoundsStage.config(settings),
        ticks=True,
        progress=True,
    )


def _rounds_stage(settings: Settings, vouch: Vouch, patience: Patience, partition: Partition) -> RoundsStage:
    """Return the stage, which expects those hosts alone whose records go to its partition."""
    count = settings.topics.partitions
    mine = [name for name in settings.liveness.expected if partition_of(name.encode(), count) == partition.number]
    liveness = settings.liveness.model_copy(update={"expected": tuple(mine)})
    return RoundsStage(settings.model_copy(update={"liveness": liveness}), partition, vouch, patience)


def detect_spec(settings: Settings, patience: Patience = UNLIMITED) -> StageSpec:
    """Return the stage that scores windows."""
    return StageSpec(
        name="detect",
        topic=settings.topics.topic("windows"),
        make=partial(DetectStage, settings, patience=patience),
        config=DetectStage.config(settings),
        ticks=True,
        progress=True,
        dead_letters=True,
    )


def planner_spec(settings: Settings, keys: KeyRing) -> StageSpec:
    """Return the stage that decides; its state is a fold over facts and outlives any change of settings."""
    return vouched_planner_spec(settings, keys.sign, Vouching(keys))


def vouched_planner_spec(settings: Settings, sign: Signer, vouch: Vouch) -> StageSpec:
    """Return the same stage; `sign` signs what it says, `vouch` says whom it does not believe."""
    return StageSpec(
        name="planner",
        topic=settings.topics.topic("journal"),
        make=partial(PlannerStage, settings, sign=sign, vouch=vouch),
        config="",
        warm_up_ms=86_400_000,
        dead_letters=True,
    )


def with_own_detectors(settings: Settings) -> Settings:
    """Return the settings with the detectors of Mendline's own metrics, but for names that the settings use."""
    names = {one.name for one in settings.detectors}
    widths = settings.windows.widths
    own = tuple(
        one if not one.window or one.window in widths else one.model_copy(update={"window": min(widths)})
        for one in DETECTORS
        if one.name not in names
    )
    return settings.model_copy(update={"detectors": settings.detectors + own})


def members(settings: Settings, log: Log, specs: Sequence[StageSpec], metrics: Metrics) -> list[Member]:
    """Return a member for each stage, under a name that is its own on this machine and the same after a restart."""
    return [Member(log, spec, settings.topics, claim_name(settings, spec.name), metrics=metrics) for spec in specs]


def check_detectors(settings: Settings) -> None:
    """Raise DetectorError when a configured detector cannot be used."""
    for problem in check(settings):
        raise DetectorError(problem)


def process_members(settings: Settings, log: Log, metrics: Metrics) -> list[Member]:
    """Return the members of the role `process`."""
    return members(settings, log, [windows_spec(settings)], metrics)


def detect_members(settings: Settings, log: Log, metrics: Metrics) -> list[Runner]:
    """Return the members of the role `detect`, and what bounds the time of detectors.

    Raises DetectorError when a configured detector cannot be used, KeyFileError when the keys under `state` cannot be
    read or made.
    """
    settings = with_own_detectors(settings)
    check_detectors(settings)
    watch = Watch(Path(settings.state) / "switched-off.json")
    specs = [rounds_spec(settings, key_ring(settings), watch), detect_spec(settings, watch)]
    return [*members(settings, log, specs, metrics), watch]


def store_members(settings: Settings, store: StoreSettings, log: Log) -> list[Runner]:
    """Return the members of the role `store`. Raises NoStoreError, StoreError, SecretError."""
    from mendline.store.engine import open_engine
    from mendline.store.member import NAME, StoreMember

    name = claim_name(settings, NAME)
    return [StoreMember(log, open_engine(store.url), settings.topics, name, settings=store)]


def store_beside(settings: Settings, log: Log) -> list[Runner]:
    """Return what keeps a store beside all else, which goes on without it; nothing without a section `store`."""
    from mendline.store.errors import NoStoreError, StoreError

    if settings.store is None:
        return []
    lost = "nothing is stored any more"
    try:
        return [Apart(one, lost, StoreError) for one in store_members(settings, settings.store, log)]
    except (NoStoreError, StoreError) as error:
        go_without(lost, error)
        return []


def respond_members(settings: Settings, log: Log, metrics: Metrics) -> list[Runner]:
    """Return the members of the role `respond`.

    Raises KeyFileError when the keys under `state` cannot be read or made.
    """
    runners: list[Runner] = list(members(settings, log, [planner_spec(settings, key_ring(settings))], metrics))
    if settings.notify or settings.reports:
        runners.append(_notifier(settings, log))
    if webhook := settings.watchdog.webhook:
        watchdog = Watchdog(webhook, settings.watchdog.every, time.monotonic)
        runners.append(Follower(log, settings.topics.topic("journal"), "watchdog", Listener(watchdog.take)))
    return runners


def _notifier(settings: Settings, log: Log) -> Follower:
    """Return what tells people. Raises KeyFileError."""
    topic = settings.topics.topic("journal")
    writer = JournalWriter(log, topic, "notifier")
    home = Home(source_name(settings), topic, writer, _moment)
    from mendline.reports.mailing import mailings

    ring = key_ring(settings)
    address = Address(settings.web.url, ring) if settings.web.url else None
    ways = [*channels(settings.notify, home, address), *mailings(settings, log, home)]
    notifier = Notifier(ways, home, Vouching(ring))
    name, group = claim_name(settings, "notifier"), f"{settings.topics.prefix}.notifier"
    return Follower(log, topic, name, notifier, group, writer.close)


def _moment() -> Moment:
    return Moment(time.monotonic(), time.time())
