from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mendline.schemas import series as module
from mendline.schemas.base import UnreadableRecordError
from mendline.schemas.series import Series, SeriesTable, blob_digest, refuse_twins

words = st.text(min_size=1, max_size=8)
some_series = st.builds(
    Series,
    service=st.text(max_size=8),
    metric=words,
    attributes=st.dictionaries(words, st.text(max_size=8), max_size=3),
    unit=st.sampled_from(["1", "By", "s"]),
    kind=st.sampled_from(["gauge", "counter"]),
)
tables = st.lists(
    some_series, max_size=6, unique_by=lambda one: (one.service, one.metric, tuple(sorted(one.attributes.items())))
)


@pytest.mark.slow
@given(tables)
def test_a_table_comes_back_from_its_blob(rows: list[Series]) -> None:
    """Order, attributes and kinds included; the digest is that of the blob."""
    table = SeriesTable(rows)
    again = SeriesTable.from_blob(table.blob)
    assert table.series == again.series
    assert table.digest == again.digest == blob_digest(table.blob)
    assert SeriesTable.known(table.digest) is again
    assert SeriesTable.from_blob(table.blob) is again


@pytest.mark.slow
@given(tables)
def test_the_order_of_attributes_makes_no_other_table(rows: list[Series]) -> None:
    """A table is known by what it says."""
    turned = [one.model_copy(update={"attributes": dict(reversed(list(one.attributes.items())))}) for one in rows]
    assert SeriesTable(rows).digest == SeriesTable(turned).digest


def test_tables_that_differ_a_little_share_their_series() -> None:
    """A thousand hosts with a disk more or less do not cost a thousand tables."""
    one, two = Series(metric="shared"), Series(metric="own")
    first = SeriesTable.from_blob(SeriesTable([one]).blob)
    second = SeriesTable.from_blob(SeriesTable([two, one]).blob)
    assert first.series[0] is second.series[1]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many series, and all tables are read anew; each is right all the same."""
    monkeypatch.setattr(module, "_known", module._Known())
    monkeypatch.setattr(module._Known, "MOST_SERIES", 10)
    made = [SeriesTable([Series(metric=f"m{n}.{row}") for row in range(4)]) for n in range(5)]
    for table in made:
        assert table.series == SeriesTable.from_blob(table.blob).series
    assert [False, False, False, False, True] == [SeriesTable.known(table.digest) is not None for table in made]


def test_a_series_is_shown_as_people_write_it() -> None:
    """Service, metric, sorted attributes."""
    assert "m" == Series(metric="m").label
    assert "web m{a=1,b=2}" == Series(service="web", metric="m", attributes={"b": "2", "a": "1"}).label


def test_twins_are_found_by_what_names_them() -> None:
    """The unit does not tell two series apart."""
    refuse_twins([Series(metric="m"), Series(metric="m", service="s"), Series(metric="m", attributes={"a": ""})])
    with pytest.raises(UnreadableRecordError, match="'m' stands twice"):
        refuse_twins([Series(metric="m"), Series(metric="m", unit="s")])


def test_a_series_needs_a_name_and_a_known_kind() -> None:
    """Anything else is refused when it is made."""
    for wrong in ({"metric": ""}, {"metric": "m", "kind": "sum"}, {"metric": "m" * 256}, {"metric": "m", "more": 1}):
        with pytest.raises(ValidationError):
            Series.model_validate(wrong)
