"""`mendline replay`: recorded topics through the stages once more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mendline.cli.dumps import progress_of, recording
from mendline.cli.options import config_option, json_option, moment_ms

if TYPE_CHECKING:
    from mendline.replaying.feeds import Pace
    from mendline.replaying.inputs import Source, Wanted
    from mendline.replaying.verifying import Verdict

NO = 1
SHOWN = 10


@click.command()
@click.option("--log", "url", metavar="URL|FILE", help="Another log than the configuration's, or a dump.")
@click.option("--verify", is_flag=True, help="Compare what is said with what was recorded, byte for byte.")
@click.option(
    "--topic", "topics", multiple=True, help="Input that is replayed: metrics, windows, journal; default: all."
)
@click.option("--source", "sources", multiple=True, help="Compare what is about this host only. Repeatable.")
@click.option("--from", "begin", metavar="TIME", help="From what was appended at this time on: a date, or 2h (ago).")
@click.option("--to", "end", metavar="TIME", help="Up to what was appended before this time.")
@click.option("--speed", default="max", metavar="N|max", help="So many times as fast as it was; default: max.")
@json_option
@config_option
def replay(
    url: str | None, topics: tuple[str, ...], sources: tuple[str, ...], begin: str | None, end: str | None, speed: str,
    config: Path, *, verify: bool, as_json: bool,
) -> None:  # fmt: skip
    """Feed recorded topics through the stages again, by the code and the settings that are here now.

    Nothing is changed: no group is joined, nothing is committed, and what stages say goes nowhere. It ends at what the
    topics held when it began. With --verify the exit status is 1 when something that was recorded does not come again,
    byte for byte; the first differences are told, with their causes.

    Example: mendline replay --verify --from 2h
    """
    import time

    from mendline.replaying.feeds import Pace
    from mendline.replaying.inputs import Wanted

    if not verify:
        msg = "say what to do with what comes out: --verify"
        raise click.UsageError(msg)
    wanted = Wanted(_inputs(topics), moment_ms(begin, "--from"), moment_ms(end, "--to"), frozenset(sources))
    pace = Pace(_speed(speed), time.monotonic, time.sleep)
    with _source(config, url, wanted) as source:
        verdict = _verify(source, pace)
    click.echo(_json(verdict) if as_json else "\n".join(_told(verdict)))
    raise click.exceptions.Exit(0 if verdict.reproduced else NO)


def _inputs(given: tuple[str, ...]) -> tuple[str, ...]:
    from mendline.replaying.inputs import INPUTS

    for topic in given:
        if topic not in INPUTS:
            msg = f"{topic!r} is no input of a stage; there are {', '.join(INPUTS)}"
            raise click.BadParameter(msg, param_hint="--topic")
    return tuple(dict.fromkeys(given)) or tuple(INPUTS)


def _speed(text: str) -> float | None:
    """Return how many times as fast, None as fast as can be. Raises click.BadParameter."""
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        msg = f"{text!r} is no speed; write max, 1 for as fast as it was, or 60"
        raise click.BadParameter(msg, param_hint="--speed")
    return speed


@contextmanager
def _source(config: Path, url: str | None, wanted: Wanted) -> Iterator[Source]:
    """Give what is replayed, by the settings that are here now. Raises ConfigError, LogError, DumpError."""
    from mendline.config import load_settings
    from mendline.dumps import Dump
    from mendline.replaying import ReplayError
    from mendline.replaying.inputs import Source
    from mendline.roles import check_detectors, with_own_detectors

    settings = with_own_detectors(load_settings(config))
    check_detectors(settings)
    with recording(settings, url) as (found, prefix):
        if isinstance(found, Dump) and found.head.anonymised:
            msg = (
                f"{found.url}: anonymised, so nothing in it has the id that follows from its name; take one with names"
            )
            raise ReplayError(msg)
        topics = settings.topics.model_copy(update={"prefix": prefix})
        yield Source(found, settings.model_copy(update={"topics": topics}), wanted)


def _verify(source: Source, pace: Pace) -> Verdict:
    from mendline.replaying.feeds import run
    from mendline.replaying.stages import Stages
    from mendline.replaying.verifying import Verification

    verification = Verification(Stages.as_recorded(source))
    with progress_of("replayed", sum(one.end - one.begin for one in verification.feeds)) as tell:
        run(source.recording, verification.feeds, pace, tell)
    return verification.verdict()


# What came out --------------------------------------------------------------------------------------------------------


def _json(verdict: Verdict) -> str:
    import json

    gaps = [
        {"stage": place.stage, "topic": place.partition.topic, "partition": place.partition.number, **gap._asdict()}
        for place, some in verdict.gaps.items()
        for gap in some
    ]
    found = {
        "reproduced": verdict.reproduced,
        "equal": dict(verdict.equal),
        "different": verdict.different,
        "differences": [one._asdict() for one in verdict.first],
        "gaps": gaps,
        "untold": verdict.untold,
    }
    return json.dumps(found)


def _told(verdict: Verdict) -> Iterator[str]:
    from mendline.words import printable

    for place, gaps in verdict.gaps.items():
        where = f"{place.stage} on {place.partition.topic} partition {place.partition.number}"
        for gap in gaps:
            yield f"Not replayed: {where}, offsets {gap.begin} to {gap.end - 1}: {gap.why}"
    for one in verdict.first[:SHOWN]:
        yield printable(f"Different: {one.text}")
    if verdict.different > SHOWN:
        yield f"… and {verdict.different - SHOWN:,} more differences"
    equal = ", ".join(f"{count:,} {kind}" for kind, count in verdict.equal.items() if count)
    if verdict.reproduced:
        yield f"Reproduced, byte for byte: {equal}"
    elif verdict.different:
        yield f"Not reproduced: {verdict.different:,} differences; equal: {equal or 'nothing'}"
    else:
        yield "Nothing could be compared"
