"""Who should read what: even, complete, the same whoever computes it, and moving as little as possible."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mendline.logs.groups import Group, share_out
from mendline.schemas.stream import Partition

names = st.sets(st.sampled_from("abcdefgh"), min_size=1)
counts = st.integers(0, 12)


@given(names, counts)
def test_shares_are_complete_and_even(members: set[str], count: int) -> None:
    """Every partition has one owner, and loads differ by one at most."""
    owners = share_out({name: ["t"] for name in members}, {"t": count}, {})
    load = Counter(dict.fromkeys(members, 0)) + Counter(owners.values())
    assert sorted(owners) == [Partition("t", number) for number in range(count)]
    assert max(load.values(), default=0) - min((load[name] for name in members), default=0) <= 1


@pytest.mark.slow
@given(names, names, counts)
def test_as_little_moves_as_can_be(old: set[str], new: set[str], count: int) -> None:
    """A member that stays loses a partition only when it has more than the new share allows."""
    before = share_out({name: ["t"] for name in old}, {"t": count}, {})
    after = share_out({name: ["t"] for name in new}, {"t": count}, before)
    most = -(-count // len(new))
    for name in old & new:
        had = {p for p, owner in before.items() if owner == name}
        kept = {p for p in had if after[p] == name}
        assert len(kept) >= min(len(had), count // len(new), most)


@given(
    st.dictionaries(st.sampled_from("abcd"), st.sets(st.sampled_from("xyz"), min_size=1), min_size=1), counts, counts
)
def test_mixed_subscriptions_are_respected(members: dict[str, set[str]], x: int, y: int) -> None:
    """Nobody is given a topic it did not subscribe to, and each topic with a subscriber is read whole."""
    sizes = {"x": x, "y": y, "z": 3}
    owners = share_out(members, sizes, {})
    read = {topic for topics in members.values() for topic in topics}
    assert sorted(owners) == sorted(Partition(t, n) for t in read for n in range(sizes[t]))
    assert all(partition.topic in members[name] for partition, name in owners.items())


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abcd")), max_size=20))
def test_owners_change_by_release_only(steps: list[tuple[bool, str]]) -> None:
    """Whatever joins and leaves, a partition passes from a member that stays only when it released it."""
    group, sizes = Group(), {"t": 5}
    for joins, name in steps:
        before = dict(group.owners)
        if joins and name not in group.members:
            group.join(name, "session", ["t"], sizes)
        else:
            group.leave([name], sizes)
        assert all(group.owners[p] == owner for p, owner in before.items() if owner in group.members)
        if group.members:
            assert len(group.owners) == sizes["t"]
    for name in list(group.members):
        group.release(name)
    assert group.owners == group.targets
