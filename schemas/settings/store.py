"""Settings of the store: which database, and what is kept there for how long."""

from __future__ import annotations

from itertools import pairwise

from pydantic import Field, field_validator

from mendline.schemas.base import Frozen
from mendline.schemas.settings.units import Duration

DAY_MS = 86_400_000


class TierSettings(Frozen):
    """Windows of one width. Those that the log does not bring are made of narrower ones."""

    width: Duration = Field(gt=0, description="of the windows")
    keep: Duration = Field(gt=0, description="how long they stay")


TIERS = (
    TierSettings(width=10_000, keep=7 * DAY_MS),
    TierSettings(width=60_000, keep=30 * DAY_MS),
    TierSettings(width=3_600_000, keep=400 * DAY_MS),
)


class StoreSettings(Frozen):
    """Windows and the journal in a SQL database: `mendline store` keeps it, and with this section `mendline up`."""

    url: str = Field(
        default="sqlite://.mendline/store.db",
        description="sqlite://FILE or postgresql://USER@HOST/DATABASE; with a password: file:PATH or env:NAME",
    )
    tiers: tuple[TierSettings, ...] = Field(
        default=TIERS,
        min_length=1,
        description="each width a multiple of the one before; windows of other widths stay as long as the next wider",
    )
    journal: Duration | None = Field(
        default=None, gt=0, description="how long what is over stays: faults, actions, orders; default: for ever"
    )

    @field_validator("tiers")
    @classmethod
    def _multiples(cls, tiers: tuple[TierSettings, ...]) -> tuple[TierSettings, ...]:
        """Refuse tiers of which one cannot be made of the one before."""
        for narrow, wide in pairwise(tiers):
            if wide.width <= narrow.width or wide.width % narrow.width:
                msg = f"{wide.width} ms is no multiple of the width before, {narrow.width} ms"
                raise ValueError(msg)
            if wide.keep < narrow.keep:
                msg = f"windows of {wide.width} ms are to be kept for at least as long as those of {narrow.width} ms"
                raise ValueError(msg)
        return tiers
