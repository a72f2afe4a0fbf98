"""What every log does with groups: sharing, handing over, fencing."""

from __future__ import annotations

import time

import pytest

from mendline.logs.base import Committed, Log, MemberFencedError
from mendline.schemas.stream import Partition
from tests.logs.support import Case, Reading, poll_until, start_python


def partitions(topic: str, count: int) -> set[Partition]:
    """Return a topic's partitions."""
    return {Partition(topic, number) for number in range(count)}


def test_members_share_the_partitions(case: Case) -> None:
    """Each partition has exactly one owner, shares are even, and the first member keeps part of what it had."""
    topic = case.topic(4)
    with case.member("a", f"g-{topic}", topic) as a:
        a.own(*partitions(topic, 4))
        with case.member("b", f"g-{topic}", topic) as b:
            poll_until([a, b], lambda: len(a.held) == len(b.held) == 2)
            assert partitions(topic, 4) == a.held | b.held


def test_members_read_their_share_once(case: Case) -> None:
    """Records that come while two members share are read by one of them each."""
    topic = case.topic(4)
    with case.member("a", f"g-{topic}", topic) as a, case.member("b", f"g-{topic}", topic) as b:
        poll_until([a, b], lambda: len(a.held) == len(b.held) == 2)
        for number in range(4):
            case.append(topic, b"%d" % number, partition=number)
        poll_until([a, b], lambda: len(a.values) + len(b.values) >= 4)
    assert sorted(a.values + b.values) == [b"0", b"1", b"2", b"3"]


def test_leavers_hand_over_at_once(case: Case) -> None:
    """What a member leaves is another's soon, at the place it committed last."""
    topic = case.topic(2)
    group = f"g-{topic}"
    case.append(topic, b"0", b"1", b"2", partition=0)
    with case.member("a", group, topic) as a:
        a.own(*partitions(topic, 2))
        a.read(3)
        a.consumer.commit({Partition(topic, 0): Committed(2)})
        with case.member("b", group, topic) as b:
            b.poll()
            a.consumer.close()
            left = time.monotonic()
            b.own(*partitions(topic, 2))
            assert time.monotonic() - left < (5 if case.kind == "kafka" else 0.9)
            assert b.read(1) == [b"2"]


@pytest.mark.slow
def test_dead_members_are_replaced(case: Case) -> None:
    """A member that was killed is replaced after its session, by members with other names."""
    topic = case.topic(2)
    group = f"g-{topic}"
    with case.member("b", group, topic) as b:
        if case.kind == "memory":
            dead = Reading(case.log.consumer("a", group), case.patience_s)
            dead.consumer.subscribe([topic])
            poll_until([b, dead], lambda: len(b.held) == len(dead.held) == 1)
        else:
            process = start_python("tests.logs.member", case.log.url, group, "a", topic, case.client)
            poll_until([b], lambda: len(b.held) == 1)
            process.kill()
            process.communicate()
        b.own(*partitions(topic, 2))


def test_static_names_take_their_place_back(case: Case) -> None:
    """The next life of a name has its partitions without waiting for the dead one's session."""
    topic = case.topic(2)
    group = f"g-{topic}"
    process: Log = case.other()
    crashed = Reading(process.consumer("a", group), case.patience_s)
    crashed.consumer.subscribe([topic])
    crashed.own(*partitions(topic, 2))
    began = time.monotonic()
    with case.member("a", group, topic) as again:
        again.own(*partitions(topic, 2))
        assert time.monotonic() - began < (6 if case.kind == "kafka" else 0.9)
    crashed.consumer.close()


def test_fenced_members_are_told(case: Case) -> None:
    """Who lost its name to a newer consumer is told by `poll`, and its commits do not count."""
    topic = case.topic()
    group = f"g-{topic}"
    partition = Partition(topic, 0)
    with case.member("a", group, topic) as old:
        old.own(partition)
        with case.member("a", group, topic) as new:
            new.own(partition)
            old.consumer.commit({partition: Committed(99)})
            with pytest.raises(MemberFencedError, match="a"):
                poll_until([old, new], lambda: False)
            with pytest.raises(MemberFencedError, match="a"):
                old.consumer.poll(case.patience_s)
            old.consumer.close()
            new.poll()
            assert {partition} == new.held
            assert new.consumer.committed(partition) is None


def test_groups_do_not_see_each_other(case: Case) -> None:
    """Two groups read all records each, and their places are apart."""
    topic = case.topic()
    partition = Partition(topic, 0)
    case.append(topic, b"x")
    with case.member("m", f"g1-{topic}", topic) as one, case.member("m", f"g2-{topic}", topic) as two:
        poll_until([one, two], lambda: one.values == two.values == [b"x"])
        one.consumer.commit({partition: Committed(1)})
        assert two.consumer.committed(partition) is None


def test_members_read_several_topics(case: Case) -> None:
    """A member of several topics holds the same partition numbers of each."""
    topics = [case.topic(4), case.topic(4)]
    group = f"g-{topics[0]}"
    with case.member("a", group, *topics) as a, case.member("b", group, *topics) as b:
        poll_until([a, b], lambda: len(a.held) == len(b.held) == 4)
        for member in (a, b):
            numbers = [{p.number for p in member.held if p.topic == topic} for topic in topics]
            assert numbers[0] == numbers[1]
