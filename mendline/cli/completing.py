"""What the shell offers when a person presses Tab: faults, services, policies and data as they stand now.

A shell asks by calling the command itself (`_MENDLINE_COMPLETE`, see click's documentation), and waits for the answer:
so it comes within `PATIENCE_S` or not at all, and whatever is wrong with configuration or log is not told there.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from mendline.cli.options import DEFAULT_CONFIG
from mendline.schemas.quantities import counted

if TYPE_CHECKING:
    from mendline.responders.journal import Journal
    from mendline.schemas.settings import Settings

PATIENCE_S = 5.0
SHOWN = 8
MOST = 200

Offer = tuple[str, str]
"""A name, and what a person should know of it; shells that show no more than the name leave the rest out."""
Answers = Callable[[click.Context, click.Parameter, str], list[CompletionItem[str]]]


def of_journal(offers: Callable[[Journal, Settings], Iterable[Offer]]) -> Answers:
    """Return the callback of a parameter whose values stand in the journal."""
    return _answers(lambda config: _from_journal(config, offers))


def of_settings(offers: Callable[[Settings], Iterable[Offer]]) -> Answers:
    """Return the callback of a parameter whose values stand in the configuration."""
    return _answers(lambda config: _from_settings(config, offers))


def _from_journal(config: Path, offers: Callable[[Journal, Settings], Iterable[Offer]]) -> list[Offer]:
    from mendline.config import existing_log_of, load_settings
    from mendline.reading import fold_journal

    settings = load_settings(config)
    with existing_log_of(settings) as log:
        return list(offers(fold_journal(log, settings), settings))


def _from_settings(config: Path, offers: Callable[[Settings], Iterable[Offer]]) -> list[Offer]:
    from mendline.config import load_settings

    return list(offers(load_settings(config)))


def _answers(read: Callable[[Path], list[Offer]]) -> Answers:
    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        found = _in_time(lambda: read(Path(ctx.params.get("config") or DEFAULT_CONFIG)))
        fitting = [(name, about) for name, about in found if name.startswith(incomplete)]
        return [CompletionItem(name, help=about or None) for name, about in fitting[:MOST]]

    return complete


def _in_time(work: Callable[[], list[Offer]]) -> list[Offer]:
    """Return what the work comes to, and nothing when it takes too long or fails."""
    logging.getLogger("mendline").addHandler(logging.NullHandler())
    found: list[Offer] = []

    def do() -> None:
        try:
            found.extend(work())
        except Exception as error:  # noqa: BLE001 - a traceback in the middle of a command line helps nobody
            logging.getLogger(__name__).debug("nothing to offer: %s", error)

    thread = threading.Thread(target=do, name="completion", daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    return list(found)


# What is offered ------------------------------------------------------------------------------------------------------


def known_faults(journal: Journal, _: Settings) -> Iterator[Offer]:
    """Yield the faults that are remembered, those that are open first."""
    from mendline.words import printable

    for fault in sorted(journal.faults.values(), key=lambda one: (not one.open, -one.latest.opened_at)):
        state = "open" if fault.open else fault.latest.transition
        yield fault.id[:SHOWN], printable(f"{fault.latest.target} {fault.latest.kind} {state}")


def asked(journal: Journal, _: Settings) -> Iterator[Offer]:
    """Yield what waits for a yes or no."""
    from mendline.responders.questions import question
    from mendline.words import printable

    for fault in journal.open_faults():
        if found := question(journal, fault):
            yield found.subject[:SHOWN], printable(f"{found.action} {found.target}")


def targets(journal: Journal, settings: Settings) -> Iterator[Offer]:
    """Yield the services of this host by name, and all targets that had a fault lately."""
    from mendline.words import printable

    yield from ((name, "service") for name in sorted(settings.services))
    for target in sorted(name for known in journal.targets.values() for name in known):
        if printable(target) == target:
            yield target, "had a fault"


def policies(settings: Settings) -> Iterator[Offer]:
    """Yield the policies of the configuration."""
    return ((one.name, f"mode {one.mode}") for one in settings.policies)


def services_with_files(settings: Settings) -> Iterator[Offer]:
    """Yield the services that declare configuration files."""
    return ((name, counted(len(one.config), "files")) for name, one in settings.services.items() if one.config)


def declared_data(settings: Settings) -> Iterator[Offer]:
    """Yield the data that services declare."""
    return ((f"{name}/{data}", "") for name, one in settings.services.items() for data in one.data)
