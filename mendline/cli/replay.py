"""`mendline replay`: recorded topics through the stages once more."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mendline.cli.dumps import progress_of, recording
from mendline.cli.options import config_option, json_option, moment_ms
from mendline.schemas.quantities import counted

if TYPE_CHECKING:
    from mendline.cli.interrupts import Interrupts
    from mendline.dumps.recording import Recording
    from mendline.replaying.feeds import Feed, Pace
    from mendline.replaying.inputs import Source, Wanted
    from mendline.replaying.tracks import Say
    from mendline.schemas.settings import Settings

NO = 1
TIMES = ("--from", "--to", "--paced-from")


@click.command()
@click.option("--log", "url", metavar="URL|FILE", help="Another log than the configuration's, or a dump.")
@click.option("--verify", is_flag=True, help="Compare what is said with what was recorded, byte for byte.")
@click.option(
    "--diff", is_flag=True, help="Tell which faults there would have been under the settings given, and when."
)
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Keep what is said in a dump.")
@click.option(
    "--topic", "topics", multiple=True, help="Input that is replayed: metrics, windows, journal; default: all."
)
@click.option("--source", "sources", multiple=True, help="Compare what is about this host only. Repeatable.")
@click.option("--from", "begin", metavar="TIME", help="From what was appended at this time on: a date, or 2h (ago).")
@click.option("--to", "end", metavar="TIME", help="Up to what was appended before this time.")
@click.option("--speed", default="max", metavar="N|max", help="So many times as fast as it was; default: max.")
@click.option("--paced-from", "since", metavar="TIME", help="What was appended before goes by as fast as can be.")
@click.option("--into", "prefix", metavar="PREFIX", help="Make topics of what is said, whose names begin with this.")
@json_option
@config_option
def replay(
    url: str | None, topics: tuple[str, ...], sources: tuple[str, ...], begin: str | None, end: str | None, speed: str,
    since: str | None, out: Path | None, prefix: str | None, config: Path, *, verify: bool, diff: bool, as_json: bool,
) -> None:  # fmt: skip
    """Feed recorded topics through the stages again, by the code and the settings that are here now.

    Nothing live is changed: no group is joined, nothing is committed, and what stages say goes nowhere, or to the file
    that --out names, or to topics of their own. It ends at what the topics held when it began.

    With --verify each part is replayed only where the settings given counted when it was recorded, and the exit status
    is 1 when something does not come again, byte for byte; the first differences are told, with their causes. With
    --diff all is replayed as if they had always counted.

    When interrupted (Ctrl-C, SIGTERM) it tells the command that goes on: what comes out is what would have, had it not
    been. State is nowhere kept, so that goes once more over what was replayed, as fast as can be.

    Example: mendline replay --verify --from 2h
    """
    import time

    from mendline.cli.interrupts import Interrupts
    from mendline.replaying.feeds import Pace
    from mendline.replaying.inputs import Wanted

    if verify == bool(diff or out or prefix):
        msg = "say what to do with what comes out: --verify, or --diff, --out and --into, one or more of these"
        raise click.UsageError(msg)
    wanted = Wanted(_inputs(topics), moment_ms(begin, "--from"), moment_ms(end, "--to"), frozenset(sources))
    interrupts = Interrupts()
    pace = Pace(_speed(speed), time.monotonic, interrupts.sleep, moment_ms(since, "--paced-from") or 0)
    with source_of(config, url, wanted) as source, interrupts.heeded(lambda: _left(source, pace, out)):
        if verify:
            _verify(source, pace, interrupts, as_json=as_json)
        else:
            with _kept(out, needed=bool(prefix)) as kept:
                _anew(source, pace, interrupts, kept, as_json=as_json)
                if prefix and kept:
                    _load(config, kept, prefix, interrupts)
    if out and not as_json:
        load = shlex.join(["mendline", "topics", "load", str(out), "--into", "PREFIX"])
        click.echo(f"{out}: what was said; `{load}` makes topics of it")


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
def source_of(config: Path, url: str | None, wanted: Wanted) -> Iterator[Source]:
    """Give what is replayed, by the settings that are here now. Raises ConfigError, LogError, DumpError."""
    from mendline.replaying.inputs import Source

    settings = settings_of(config)
    with recording_with_names(settings, url) as (found, prefix):
        topics = settings.topics.model_copy(update={"prefix": prefix})
        yield Source(found, settings.model_copy(update={"topics": topics}), wanted)


def settings_of(config: Path) -> Settings:
    """Return the settings in a file as stages work by them. Raises ConfigError, DetectorError, which name the file."""
    from mendline.config import load_settings

    return as_stages_work(load_settings(config), str(config))


def as_stages_work(settings: Settings, name: str) -> Settings:
    """Return the settings with the detectors of Mendline's own.

    Raises DetectorError, which begins with the `name` of the settings, when a detector cannot be used.
    """
    from mendline.detectors.registry import DetectorError
    from mendline.roles import check_detectors, with_own_detectors

    try:
        whole = with_own_detectors(settings)
        check_detectors(whole)
    except DetectorError as error:
        msg = f"{name}: {error}"
        raise DetectorError(msg) from None
    return whole


@contextmanager
def recording_with_names(settings: Settings, url: str | None) -> Iterator[tuple[Recording, str]]:
    """Give what `recording` gives. Raises ReplayError for a dump whose names are others, LogError, DumpError."""
    from mendline.dumps import Dump
    from mendline.replaying import ReplayError

    with recording(settings, url) as (found, prefix):
        if isinstance(found, Dump) and found.head.anonymised:
            msg = (
                f"{found.url}: anonymised, so nothing in it has the id that follows from its name; take one with names"
            )
            raise ReplayError(msg)
        yield found, prefix


def _verify(source: Source, pace: Pace, interrupts: Interrupts, *, as_json: bool) -> None:
    from mendline.cli.replayed import verdict_json, verdict_told
    from mendline.replaying.stages import Stages
    from mendline.replaying.verifying import Verification

    verification = Verification(Stages.as_recorded(source))
    _run(source, verification.feeds, pace, interrupts)
    verdict = verification.verdict()
    click.echo(verdict_json(verdict) if as_json else "\n".join(verdict_told(verdict)))
    raise click.exceptions.Exit(0 if verdict.reproduced else NO)


def _anew(source: Source, pace: Pace, interrupts: Interrupts, out: Path | None, *, as_json: bool) -> None:
    from mendline.cli.replayed import changes_json, changes_told
    from mendline.replaying.anew import Anew
    from mendline.replaying.stages import Stages

    with _keeper(source, out) as keep:
        anew = Anew(Stages.anew(source), keep)
        _run(source, anew.feeds, pace, interrupts)
    click.echo(changes_json(anew) if as_json else "\n".join(changes_told(anew)))


@contextmanager
def _kept(out: Path | None, *, needed: bool) -> Iterator[Path | None]:
    """Give the file that keeps what is said: `out`, or one that goes again if one is `needed`."""
    from tempfile import TemporaryDirectory

    if out or not needed:
        yield out
        return
    with TemporaryDirectory(prefix="mendline-") as folder:
        yield Path(folder) / "said"


def _load(config: Path, kept: Path, prefix: str, interrupts: Interrupts) -> None:
    """Make topics of what was said, on the configuration's log, or go on with it. Raises LogError."""
    from mendline.config import load_settings, log_of
    from mendline.dumps import Dump
    from mendline.dumps.loading import load

    with Dump(kept) as said, log_of(load_settings(config)) as log:
        loaded = load(said, log, prefix, lambda _: interrupts.check())
        records = counted(loaded.records, "records")
        click.echo(f"{log.url}: {records} of what was said, in topics below {prefix}", err=True)


@contextmanager
def _keeper(source: Source, out: Path | None) -> Iterator[Say]:
    """Give what keeps all that is said in a dump; without a file, what keeps nothing.

    An error leaves nothing of the file; an interruption leaves what was said until then.
    """
    import time

    from mendline.cli.interrupts import InterruptedBetweenStepsError
    from mendline.dumps.writer import new_dump
    from mendline.replaying.anew import nowhere
    from mendline.replaying.keeping import Keeper

    if out is None:
        yield nowhere
        return
    with new_dump(out) as file:
        keeper = Keeper(file, source, time.time_ns() // 1_000_000)
        interrupted = None
        try:
            yield keeper.take
        except InterruptedBetweenStepsError as error:
            interrupted = error
        keeper.finish()
    if interrupted:
        raise interrupted


def _run(source: Source, feeds: Sequence[Feed], pace: Pace, interrupts: Interrupts) -> None:
    from mendline.replaying.feeds import run

    with progress_of("replayed", sum(one.end - one.begin for one in feeds)) as tell:
        run(source.recording, feeds, pace, interrupts.checked(tell))


def _left(source: Source, pace: Pace, out: Path | None) -> str:
    """Return what an interrupted replay leaves, and how to go on."""
    kept = f"{out} has what was said until here, and is replaced by all of it; " if out else ""
    return f"{kept}this goes on: {_go_on(source, pace)}"


def _go_on(source: Source, pace: Pace) -> str:
    """Return the command that does the same, of the same records: times are absolute, and nothing newer is wanted.

    What was paced already is not waited for again.
    """
    words = list(_without_times(sys.argv[1:]))
    wanted = source.wanted
    words += ["--from", _moment(wanted.begin)] if wanted.begin is not None else []
    words += ["--to", _moment(source.newest + 1 if wanted.end is None else wanted.end)]
    if pace.speed is not None and pace.reached is not None:
        words += ["--paced-from", _moment(pace.reached)]
    return shlex.join(["mendline", *words])


def _without_times(words: Sequence[str]) -> Iterator[str]:
    """Yield the words of a command line without the options that are about times, and their values."""
    given = iter(words)
    for word in given:
        if word in TIMES:
            next(given, None)
        elif word.partition("=")[0] not in TIMES:
            yield word


def _moment(time_ms: int) -> str:
    """Return a time as `--from` takes it, UTC."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
