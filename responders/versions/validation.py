"""Looks whether a version of configuration files is valid, by the check that the host names, before it is in place.

The check finds the version below a folder of its own, by whole paths: `/etc/web/web.conf` is `{path}/etc/web/web.conf`.
A check whose arguments have no `{path}` cannot look elsewhere than at the files in place: they are put there for it,
and what was there before is put back when it refuses them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mendline.responders.action import PermanentError, TemporaryError
from mendline.responders.command import PATH, run_named
from mendline.responders.versions.files import Entry, Files, put_in_place, write_entry

if TYPE_CHECKING:
    from mendline.responders.action import ActionContext


class Validation:
    """The check of the context's service. A version is laid out in `folder`, which is there only meanwhile."""

    def __init__(self, context: ActionContext, folder: Path) -> None:
        """Find the check in the context's settings; without one everything is valid."""
        self._context, self._folder = context, folder
        self._name = context.settings.rollback.check

    @property
    def looks_aside(self) -> bool:
        """Whether the check can look at files that are not in place, or there is none."""
        command = self._context.settings.commands.get(self._name)
        return not self._name or (command is not None and any(PATH in part for part in command.argv))

    def before(self, files: Files, limit_s: float) -> None:
        """Look at files that are not in place, if the check can.

        Raises PermanentError when it refuses them, OSError.
        """
        if self._name and self.looks_aside:
            with laid_out(files, self._folder) as folder:
                self._ask(folder, limit_s, "the files in place were not touched")

    def after(self, limit_s: float) -> None:
        """Look at the files in place, if the check can do nothing else. Raises PermanentError when it refuses them."""
        if not self.looks_aside:
            self._ask(None, limit_s, "what was there is in place again")

    def _ask(self, folder: Path | None, limit_s: float, state: str) -> None:
        try:
            run_named(self._name, replace(self._context, timeout_s=limit_s), folder)
        except (PermanentError, TemporaryError, TimeoutError) as error:
            msg = f"{state}, for the check refused the other version: {error}"
            raise PermanentError(msg) from error


def put_checked(
    validation: Validation,
    now: Files,
    wanted: Files,
    limit_s: Callable[[], float],
    step: Callable[[str], None] = lambda _: None,
) -> list[str]:
    """Put files in place that are valid and return the paths that changed; `limit_s` tells what its check may take.

    `validation.before` was asked already. Raises PermanentError, OvertakenError, OSError: then nothing has changed.
    """
    changed = put_in_place(now, wanted, step)
    try:
        if changed:
            validation.after(limit_s())
    except PermanentError:
        put_in_place(wanted, now)
        raise
    return changed


@contextlib.contextmanager
def laid_out(files: Files, folder: Path) -> Iterator[Path]:
    """Have the files below `folder`, by their whole paths, as long as the block lasts. Raises OSError.

    Links that lead from one of them to another do so there too; others lead where they would.
    """
    shutil.rmtree(folder, ignore_errors=True)  # of a life that ended in the middle
    folder.mkdir(mode=0o700, parents=True)
    try:
        for path, entry in files.items():
            place = folder / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            write_entry(place, _moved(path, entry, files, folder))
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _moved(path: str, entry: Entry, files: Files, folder: Path) -> Entry:
    """Return what stands for the entry there. Only root can give a file to its owner."""
    if entry.link:
        target = os.path.normpath(os.path.join(os.path.dirname(path), os.fsdecode(entry.data)))  # noqa: PTH118, PTH120
        return entry._replace(data=os.fsencode(f"{folder}{target}" if target in files else target))
    return entry if os.geteuid() == 0 else entry._replace(owner=(os.geteuid(), os.getegid()))
