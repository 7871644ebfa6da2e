"""Which leases a sweep may end. The kind: a consumer that takes a lease because it cannot know whether the
holder's renewal could have arrived, and takes its own ignorance for the holder's silence.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from hsejobs.engine import calm
from hsejobs.engine.calm import LOOK_AGAIN, SWEEP_EVERY, Calm
from hsejobs.store.work import RENEWED_WITHIN

#: Redis time in ms at 0 s of the monotonic clock.
EPOCH = 1_800_000_000_000


class Sweeps:
    """Sweeps of one consumer, by a clock that stands still between them."""

    def __init__(self, clock: SimpleNamespace) -> None:
        self.clock, self.calm = clock, Calm()

    def at(self, began: float, answered: float | None = None) -> int | None:
        """Sweeps; returns the ms, since 0 s, by which a lease had to be over; None: none was taken."""
        self.clock.now = began
        by = self.calm.ended_by()
        self.clock.now = began if answered is None else answered
        self.calm.swept(began, EPOCH + round(self.clock.now * 1000))
        return by - EPOCH if by else None


@pytest.fixture
def sweeps(monkeypatch: pytest.MonkeyPatch) -> Sweeps:
    """After the calm that follows the start, and sweeps at 100, 101, 102 and 103 s."""
    clock = SimpleNamespace(now=100.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(calm, "time", clock)
    made = Sweeps(clock)
    assert [made.at(100.0 + n * SWEEP_EVERY) for n in range(4)] == [None, None, 101_000, 102_000]
    return made


def test_a_lease_that_ended_since_the_last_answer_is_looked_at_again(sweeps: Sweeps) -> None:
    """Seen: the sweep was sent in the last second of a silence in which the lease of another consumer had
    ended, and was executed before the renewal, which waited there for longer.
    """
    assert sweeps.at(104.0, 104.05) == 103_000
    assert sweeps.calm.next_look(0) == 104.05 + LOOK_AGAIN
    assert sweeps.at(104.15) == 104_050


def test_a_lease_that_ends_soon_is_looked_at_when_it_has_ended(sweeps: Sweeps) -> None:
    assert sweeps.calm.next_look(700) == pytest.approx(103.701)


def test_after_a_silence_leases_are_left_for_as_long_again(sweeps: Sweeps) -> None:
    """Who was refused meanwhile tries again after a pause, which is no longer than the silence was."""
    assert sweeps.at(104.0, 104.8) == 103_000
    assert sweeps.calm.next_look(0) == pytest.approx(105.6)
    assert sweeps.at(105.5) is None
    assert sweeps.at(105.7) == 105_500


def test_a_consumer_that_was_frozen_leaves_others_time_to_renew(sweeps: Sweeps) -> None:
    """It heard nothing of an outage that ended just before, after which the others have to renew first."""
    assert sweeps.at(140.0) == 103_000
    assert sweeps.at(141.0) is None
    assert sweeps.at(140.0 + RENEWED_WITHIN) == 141_000


def test_one_that_is_always_late_takes_them_all_the_same(sweeps: Sweeps) -> None:
    """Jobs that hold the interpreter, on the only consumer."""
    assert [sweeps.at(110.0 + n * 7) for n in range(4)] == [103_000, 110_000, 117_000, 124_000]


def test_after_an_outage_all_may_renew_first(sweeps: Sweeps) -> None:
    sweeps.calm.outage()
    assert sweeps.at(103.2) is None  # refused for a moment only
    assert sweeps.at(104.2) is None
    assert sweeps.at(103.2 + RENEWED_WITHIN) == 104_200
