"""A service whose 100 MB of data are overwritten: they are restored from a snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mendline.demo.scenario import Broken, Finding, Part, Scenario, Victim, probed
from mendline.demo.stock import SIZE, corrupt_stock, digest_of, make_stock
from mendline.responders.snapshots.restoration import remembered
from mendline.responders.snapshots.store import Store

if TYPE_CHECKING:
    from mendline.demo.deployment import Deployment

STOCK = "stock"

SETTINGS = f"""\
  archive:
    process:
      command: [$python, -I, -S, $service_program, "$archive", {STOCK}]
      grace: 100ms
{probed("archive")}\
    allow: [restart, restore_data]
    data:
      {STOCK}:                  # 100 MB that never change: what differs from the snapshot by its hash is corrupt
        path: {STOCK}
        immutable: true
        check_every: 100ms    # a look at time stamps; what they say was touched is read
        confirm: 1
"""
POLICIES = """\
  - name: archive-data
    when: {target: archive, kind: [corrupt]}
    mode: auto
    play:
      - {action: restore_data, verify: 10s, attempts: 1000}
  - name: archive-down
    when: {target: archive, kind: [dead, hung, failing, stopped]}
    mode: auto
    play:
      - {action: restart, verify: 10s, attempts: 1000}
"""


def fill(folder: Path) -> None:
    """Make the service's data."""
    make_stock(folder / STOCK)


ARCHIVE = Part(("archive",), SETTINGS, POLICIES, prepare=fill)


def corrupt(victim: Victim) -> None:
    """Overwrite all of its data in place."""
    corrupt_stock(victim.deployment.folder / STOCK)


def wait_for_snapshot(deployment: Deployment) -> None:
    """Wait until there is something to restore from. Raises DemoError."""
    deployment.wait(lambda: bool(_store(deployment).ids()), "no snapshot was taken")


@contextmanager
def intact(broken: Broken) -> Iterator[Callable[[], Finding]]:
    """Compare the data of before and after, by a hash that none of Mendline's own code takes part in."""
    deployment = broken.victim.deployment
    before = digest_of(deployment.folder / STOCK)
    yield lambda: restored(deployment, before, digest_of(deployment.folder / STOCK))


def restored(deployment: Deployment, before: str, after: str) -> Finding:
    """Return whether the data are what they were, with how old the snapshot was and how long the restore took."""
    told = remembered(_store(deployment))
    times = {name: told.get(name) for name in ("recovery_point_s", "recovery_time_s")}
    return Finding(
        good=before == after,
        counts={"intact": before == after},
        times={name: value if isinstance(value, float) else None for name, value in times.items()},
        shown={"sha256": {"before": before, "after": after}},
        same={"bytes": SIZE},
    )


def _store(deployment: Deployment) -> Store:
    return Store(deployment.folder / "state", "archive", STOCK)


SCENARIOS = {
    "corrupt-data": Scenario(
        "robbed of its data", ARCHIVE, (corrupt,), needed=("restore_data",), judge=intact, ready=wait_for_snapshot
    )
}
