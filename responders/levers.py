"""A number of a service that may be changed: where it stands, how it is read, and how it is set.

Setting compares first: a number that is not what was read before is somebody else's, and stays.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from mendline.responders.action import PermanentError
from mendline.responders.file_numbers import FileNumberError, number_at, path_of, replaced
from mendline.responders.replacing import ChangedMeanwhileError, replace_content
from mendline.responders.running import run_bounded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mendline.responders.snapshots.deadline import Deadline
    from mendline.schemas.settings import AdjustableSettings

MOST_BYTES = 2**20
VALUE = "{value}"


class Lever(Protocol):
    """A number that can be read and set."""

    def read(self) -> Decimal:
        """Return the number. Raises PermanentError, TimeoutError."""

    def change(self, before: Decimal, after: Decimal) -> None:
        """Set it to `after`, if it is `before`. Raises PermanentError, TimeoutError."""


def lever_of(settings: AdjustableSettings, deadline: Deadline) -> Lever:
    """Return the lever that the host's settings declare; its commands must have ended by `deadline`."""
    return FileLever(settings) if settings.file else CommandLever(settings, deadline)


class FileLever(NamedTuple):
    """A key in a file."""

    settings: AdjustableSettings

    def read(self) -> Decimal:
        """Return the number at the key. Raises PermanentError."""
        return self._number(self._content())

    def change(self, before: Decimal, after: Decimal) -> None:
        """Change the number's characters and no others. Raises PermanentError when it is not `before` any more."""
        content = self._content()
        _refuse_other(self._number(content), before)
        form, key = self.settings.format_of_file, self.settings.key
        try:
            text = replaced(content.decode(), form, path_of(key, form), after)
            replace_content(self._path, content, text.encode())
        except (FileNumberError, ChangedMeanwhileError) as error:
            raise PermanentError(f"{self._path}: {error}") from error
        except OSError as error:
            raise PermanentError(f"{self._path} cannot be written: {error.strerror}") from error

    @property
    def _path(self) -> Path:
        return Path(self.settings.file or "")

    def _content(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                content = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise PermanentError(f"{self._path} cannot be read: {error.strerror}") from error
        if len(content) > MOST_BYTES:
            raise PermanentError(f"{self._path} is longer than {MOST_BYTES} bytes: that is no file of settings")
        return content

    def _number(self, content: bytes) -> Decimal:
        form = self.settings.format_of_file
        try:
            return number_at(content.decode(), form, path_of(self.settings.key, form))
        except ValueError as error:
            raise PermanentError(f"{self._path}: {error}") from error


class CommandLever(NamedTuple):
    """A number behind two commands: one prints it, the other sets it."""

    settings: AdjustableSettings
    deadline: Deadline

    def read(self) -> Decimal:
        """Return what `read` printed. Raises PermanentError, TimeoutError."""
        printed = self._run(self.settings.read)
        try:
            number = Decimal(printed)
        except InvalidOperation:
            number = Decimal("nan")
        if not number.is_finite():
            raise PermanentError(f"{self.settings.read[0]} printed {printed[:80]!r}, and no number")
        return number

    def change(self, before: Decimal, after: Decimal) -> None:
        """Set it, and read it back. Raises PermanentError when it was not `before`, or is not `after` then."""
        _refuse_other(self.read(), before)
        written = format(after, "f")
        self._run([part.replace(VALUE, written) for part in self.settings.write])
        if (now := self.read()) != after:
            raise PermanentError(f"{self.settings.write[0]} was to set {written}, but it is {now} now")

    def _run(self, vector: Sequence[str]) -> str:
        try:
            ended = run_bounded(vector, self.deadline.left)
        except OSError as error:
            if isinstance(error, TimeoutError):
                raise
            raise PermanentError(f"{vector[0]} cannot be run: {error.strerror}") from error
        if ended.status:
            raise PermanentError(f"{vector[0]} ended with {ended.status}: {ended.output or 'it printed nothing'}")
        return ended.output


def _refuse_other(now: Decimal, before: Decimal) -> None:
    if now != before:
        raise PermanentError(f"it is {now} now and not {before}: somebody changed it meanwhile")
