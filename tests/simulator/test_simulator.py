"""The seeded simulator: CI's part of it, 200,000 steps, and that it finds what was wrong once.

A step is one call that reached the server, after which everything in it is looked at. Calls that the
simulated network lost or refused are not counted.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.simulator.mutants import IN_ENGINE, IN_LUA
from tests.simulator.run import simulate
from tests.support.server import Server

STEPS, SEEDS_EACH = 2_000, 5
#: Seeds that find a fault which was put back, within STEPS.
FOUND_BY = {
    "renewals refused on a full server, sweeps allowed": (11, "its lease was taken while"),
}


@pytest.mark.parametrize("part", range(20))
def test_no_invariant_is_violated(redis_server: Server, part: int) -> None:
    for seed in range(1 + part * SEEDS_EACH, 1 + (part + 1) * SEEDS_EACH):
        result = simulate(redis_server, seed, STEPS)
        assert result.violation is None, json.dumps(result.trace, indent=1)
        assert result.steps >= STEPS


def test_a_seed_replays_exactly(redis_server: Server) -> None:
    first, second = [simulate(redis_server, 7, 600) for _ in range(2)]
    other = simulate(redis_server, 8, 600)
    assert (first.digest, first.trace, first.calls) == (second.digest, second.trace, second.calls)
    assert first.digest != other.digest


def test_everything_has_its_turn(redis_server: Server) -> None:
    """A simulator that never does something finds nothing in it."""
    calls: dict[str, int] = {}
    for seed in range(1, 5):
        for name, times in simulate(redis_server, seed, STEPS).calls.items():
            calls[name] = calls.get(name, 0) + times
    expected = (
        "add", "periodic", "complete", "fail", "postpone", "release", "renew", "stall", "sweep",
        "progress", "log", "mark", "promote", "retry", "remove", "restore", "clean", "pause",
        "heartbeat", "stats",
    )  # fmt: skip
    assert [name for name in expected if not calls.get(name)] == []


@pytest.mark.parametrize("name", FOUND_BY)
def test_an_old_fault_put_back_is_found(redis_server: Server, name: str) -> None:
    seed, told = FOUND_BY[name]
    patches: dict[str, Any] = dict([IN_LUA[name]]) if name in IN_LUA else {}
    if patches:
        result = simulate(redis_server, seed, STEPS, patches)
    else:
        with IN_ENGINE[name]():
            result = simulate(redis_server, seed, STEPS)
    assert told in (result.violation or "nothing was found")
    # The same seed without it finds nothing: what was found is the fault.
    assert simulate(redis_server, seed, STEPS).violation is None


def test_every_fault_has_a_seed() -> None:
    assert set(FOUND_BY) == {*IN_LUA, *IN_ENGINE}
