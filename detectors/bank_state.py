"""State of the detectors as it goes into a snapshot: blocks of a bounded size, exact to the last bit.

Seven kinds of blocks: `detectors` (the hash of what each one's state follows from), `pool` (which sources have a slot,
under which table), `rows` (a detector's arrays of some sources and series), `pace` (those about the time between their
rounds, apart: a version that does not know them passes them over), `faults` (its open faults), `ended` (those that
resolved lately), `failed` (it is switched off). The state of a detector whose hash is another by now is passed over.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mendline.detectors.bank import Bank
from mendline.detectors.faults import OpenFault
from mendline.detectors.hoards import refuse_hoard
from mendline.detectors.rows import OWN, PACE
from mendline.detectors.series_faults import NEVER, Ended, SeriesFault
from mendline.schemas.series import SeriesTable
from mendline.schemas.stream import StateBlock

if TYPE_CHECKING:
    from mendline.detectors.bank import Bank
    from mendline.detectors.pools import Pool, Pools
    from mendline.detectors.rows import Store

BLOCK_BYTES = 400_000
SOURCES_PER_POOL_BLOCK = 1_000
FAULTS_PER_BLOCK = 100
ENDED_PER_BLOCK = 500


def dump_banks(pools: Pools, banks: Sequence[Bank]) -> Iterator[StateBlock]:
    """Yield the state of all pools and detectors."""
    if banks:
        yield StateBlock([], values={"detectors": {bank.name: bank.configured.config for bank in banks}})
    for pool in pools.by_table.values():
        yield from _dump_pool(pools, pool)
    for bank in banks:
        if bank.faults.failed:
            yield StateBlock([], values={"failed": bank.name, "fault": bank.faults.failed.dump()})
        yield from _dump_stores(pools, bank)
        yield from _dump_faults(bank)


def _dump_stores(pools: Pools, bank: Bank) -> Iterator[StateBlock]:
    """Yield the rows of a detector; of one that cannot tell them, or keeps others, what it told until then."""
    try:
        refuse_hoard(bank.configured.detector)
        for key, store in bank.stores.items():
            yield from _dump_store(bank, pools.by_table[key], store)
    except Exception as error:  # noqa: BLE001 - whatever a plug-in does harms only itself
        bank.spoil(error)


def _dump_pool(pools: Pools, pool: Pool) -> Iterator[StateBlock]:
    names = list(pool.slots)
    for first in range(0, len(names), SOURCES_PER_POOL_BLOCK):
        some = names[first : first + SOURCES_PER_POOL_BLOCK]
        slots = [pool.slots[name] for name in some]
        ranks = [pools.layouts[pool.width, name].index(pool.table.digest) for name in some]
        yield StateBlock(
            some,
            {"last": pool.last[slots], "seen": pool.seen[slots], "rank": np.array(ranks, dtype=np.int64)},
            {"pool": pool.width, "table": base64.b64encode(pool.table.blob).decode()},
        )


def _dump_store(bank: Bank, pool: Pool, store: Store) -> Iterator[StateBlock]:
    """Yield the rows: as many series as fit in a block, then as many sources."""
    if not pool.slots or not len(store.columns):
        return
    per_series = max(_packed_bytes(bank, store), 1)
    columns = min(max(BLOCK_BYTES // per_series, 1), len(store.columns))
    sources = max(BLOCK_BYTES // (per_series * columns), 1)
    names = list(pool.slots)
    for first in range(0, len(names), sources):
        some = names[first : first + sources]
        slots = [pool.slots[name] for name in some]
        for column in range(0, len(store.columns), columns):
            arrays = {
                name: _pack(bank, name, array[slots, column : column + columns]) for name, array in store.arrays.items()
            }
            place = {"width": pool.width, "digest": str(pool.table.digest), "column": column}
            pace = {name: arrays.pop(name) for name in list(arrays) if name.startswith(PACE)}
            yield StateBlock(some, arrays, {"rows": bank.name, **place})
            if pace:
                yield StateBlock(some, pace, {"pace": bank.name, **place})


def _packed_bytes(bank: Bank, store: Store) -> int:
    """Return the bytes of one series in a snapshot; objects count with their declared bound."""
    bound = int(getattr(bank.configured.detector, "state_bytes", 0))
    return sum(bound if array.dtype == "object" else array.bytes_per_series for array in store.declared.values())


def _pack(bank: Bank, name: str, rows: Any) -> Any:
    return bank.configured.detector.pack(name.removeprefix(OWN), rows) if name.startswith(OWN) else rows


def _unpack(bank: Bank, name: str, rows: Any) -> Any:
    return bank.configured.detector.unpack(name.removeprefix(OWN), rows) if name.startswith(OWN) else rows


def _dump_faults(bank: Bank) -> Iterator[StateBlock]:
    known = list(bank.faults.open.items())
    for first in range(0, len(known), FAULTS_PER_BLOCK):
        some = known[first : first + FAULTS_PER_BLOCK]
        faults = [[*key, str(fault.table), fault.column, fault.lost_at, fault.open.dump()] for key, fault in some]
        yield StateBlock(list(dict.fromkeys(key[0] for key, _ in some)), values={"faults": bank.name, "list": faults})
    ended = [[*key, *one] for key, one in bank.faults.ended.items()]
    for first in range(0, len(ended), ENDED_PER_BLOCK):
        yield StateBlock([], values={"ended": bank.name, "list": ended[first : first + ENDED_PER_BLOCK]})


def load_banks(pools: Pools, banks: Sequence[Bank], blocks: Iterable[StateBlock]) -> list[Bank]:
    """Take over what `dump_banks` gave and return the detectors that were not among them as they are now.

    Blocks of others, and of detectors that are no more, are passed over.
    """
    named: dict[str, Bank] = {}
    widths = {bank.configured.settings.window for bank in banks}
    ranks: dict[tuple[int, str], dict[int, int]] = {}
    for block in blocks:
        values: dict[str, Any] = block.values
        if "detectors" in values:
            named = {bank.name: bank for bank in banks if values["detectors"].get(bank.name) == bank.configured.config}
        elif values.get("pool") in widths:
            _load_pool(pools, block, values, ranks)
        elif (of := values.get("rows", values.get("pace"))) in named:
            _load_rows(named[of], pools, block, values)
        else:
            _load_faults(named, values)
    for key, by_table in ranks.items():
        pools.layouts[key] = sorted(by_table, key=lambda digest, known=by_table: known[digest])  # type: ignore[misc]
    for bank in banks:
        bank.faults.loaded()
    return [bank for bank in banks if bank.name not in named]


def _load_faults(named: Mapping[str, Bank], values: dict[str, Any]) -> None:
    if values.get("faults") in named:
        for source, label, table, column, lost_at, fault in values["list"]:
            known = SeriesFault(OpenFault.load(fault), int(table), column, lost_at)
            named[values["faults"]].faults.open[source, label] = known
    elif values.get("ended") in named:
        ended = {(source, label): Ended(*one) for source, label, *one in values["list"]}
        named[values["ended"]].faults.ended |= ended
    elif values.get("failed") in named:
        named[values["failed"]].faults.failed = OpenFault.load(values["fault"])


def _load_pool(
    pools: Pools, block: StateBlock, values: dict[str, Any], ranks: dict[tuple[int, str], dict[int, int]]
) -> None:
    pool = pools.pool(values["pool"], SeriesTable.from_blob(base64.b64decode(values["table"])))
    columns = zip(*(block.arrays[name].tolist() for name in ("last", "seen", "rank")), strict=True)
    for source, (last, seen, rank) in zip(block.sources, columns, strict=True):
        slot = pool.take_slot(source, seen)
        pool.last[slot] = last
        ranks.setdefault((pool.width, source), {})[pool.table.digest] = rank


def _load_rows(bank: Bank, pools: Pools, block: StateBlock, values: dict[str, Any]) -> None:
    pool = pools.by_table[values["width"], int(values["digest"])]
    store, first = bank.store(pool), values["column"]
    slots = [pool.slots[source] for source in block.sources]
    for name, packed in block.arrays.items():
        try:
            rows = _unpack(bank, name, packed)
        except Exception as error:  # noqa: BLE001 - whatever a plug-in does harms only itself
            bank.spoil(error)
            return
        store.arrays[name][slots, first : first + rows.shape[1]] = rows


def join_banks(pools: Pools, banks: Sequence[Bank], warmed: Pools, others: Sequence[Bank], ahead_ms: int) -> None:
    """Take over the state of detectors of the same names that was folded apart, where log time was `ahead_ms` less.

    Which source has which layouts is known here already, but for widths that no detector looked at before.
    """
    known = set(pools.layouts)
    for pool in warmed.by_table.values():
        _adopt_pool(pools, pool, [name for name in pool.slots if (pool.width, name) not in known], ahead_ms)
    pools.layouts |= {key: list(layouts) for key, layouts in warmed.layouts.items() if key not in known}
    named = {bank.name: bank for bank in banks}
    for other in others:
        _join_bank(named[other.name], other, ahead_ms)


def _adopt_pool(pools: Pools, warmed: Pool, sources: Sequence[str], ahead_ms: int) -> None:
    pool = pools.pool(warmed.width, warmed.table) if sources else warmed
    for source in sources:
        theirs = warmed.slots[source]
        slot = pool.take_slot(source, int(warmed.seen[theirs]) + ahead_ms)
        pool.last[slot] = warmed.last[theirs]


def _join_bank(bank: Bank, other: Bank, ahead_ms: int) -> None:
    for key, theirs in other.stores.items():
        pool, warmed = bank.pools.by_table.get(key), other.pools.by_table[key]
        shared = [source for source in warmed.slots if pool and source in pool.slots]
        if pool and shared:
            store, slots = bank.store(pool), [pool.slots[source] for source in shared]
            for name, array in theirs.arrays.items():
                store.arrays[name][slots] = array[[warmed.slots[source] for source in shared]]
    bank.faults.open, bank.faults.failed = other.faults.open, other.faults.failed
    bank.faults.ended = {key: one._replace(at=one.at + ahead_ms) for key, one in other.faults.ended.items()}
    for fault in bank.faults.open.values():
        fault.open.affirm_at += ahead_ms
        fault.lost_at = min(fault.lost_at + ahead_ms, NEVER)
    if bank.faults.failed:
        bank.faults.failed.affirm_at += ahead_ms
    bank.faults.loaded()


def size_of(block: StateBlock) -> int:
    """Return about how many bytes a block takes in a snapshot."""
    return sum(array.nbytes for array in block.arrays.values()) + len(json.dumps(block.values))
