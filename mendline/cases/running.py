"""Reads files of tests, and runs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mendline.cases.comparing import Difference, compare
from mendline.cases.detecting import Heard, Planned, hear
from mendline.cases.files import CasesFile
from mendline.cases.parallel import in_parallel, processes_for
from mendline.cases.planning import Planners
from mendline.config.files import load_settings, model_in, read_text
from mendline.config.tree import Tree, read_tree
from mendline.roles import check_detectors, with_own_detectors

if TYPE_CHECKING:
    from mendline.schemas.settings import Settings


@dataclass(frozen=True)
class Cases:
    """The tests of a file, and the settings that they are of."""

    path: Path
    tree: Tree
    file: CasesFile
    settings: Settings

    def line(self, number: int, *inside: str | int) -> int:
        """Return the line of a test, or of something in it."""
        return self.tree.line(("tests", number, *inside))


@dataclass(frozen=True)
class Result:
    """How a test went; `line` is where it stands."""

    name: str
    line: int
    differences: list[Difference]


def load_cases(path: Path) -> Cases:
    """Return the tests in a file, with the configuration they are of. Raises ConfigError, DetectorError."""
    tree = read_tree(read_text(path, "name a file of tests"), str(path))
    file = model_in(tree, CasesFile, ": config, and tests")
    settings = with_own_detectors(load_settings(path.parent / file.config))
    check_detectors(settings)
    topics = settings.topics.model_copy(update={"partitions": 1})  # where a host's records go makes no difference
    return Cases(path, tree, file, settings.model_copy(update={"topics": topics}))


def run_cases(cases: Cases, name: str = "", processes: int | None = None) -> list[Result]:
    """Return how the tests went whose name has `name` in it, in the order of the file. Raises OfflineError.

    In so many `processes`; None: as many as so many tests are worth.
    """
    numbers = [number for number, one in enumerate(cases.file.tests) if name in one.name]
    count = processes_for(len(numbers)) if processes is None else processes
    work = partial(_run, cases)
    found = work(numbers) if count == 1 else in_parallel(work, numbers, count)
    return [result for _, result in sorted(found, key=lambda one: one[0])]


def _run(cases: Cases, chosen: Sequence[int]) -> list[tuple[int, Result]]:
    """Return how the tests with these numbers went."""
    numbers = {Planned.of(cases.file.tests[number], cases.file.interval): number for number in chosen}
    planners = Planners(cases.settings)
    return [
        (numbers[planned], _result(cases, numbers[planned], planned, heard, planners))
        for planned, heard in hear(list(numbers), cases.settings)
    ]


def _result(cases: Cases, number: int, planned: Planned, heard: Heard, planners: Planners) -> Result:
    case = planned.case
    drifts = case.faults is not None and bool(cases.settings.drift)
    decided = planners.plan(planned, heard) if case.looks_at_planner or drifts else None
    differences = [
        replace(one, line=cases.line(number, one.kind, *(() if one.number is None else (one.number,))))
        for one in compare(case, heard, decided)
    ]
    return Result(case.name, cases.line(number), differences)
