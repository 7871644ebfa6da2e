"""The seeded simulator: CI's part of it, 100,000 steps, and that it finds former faults.

A step is one call that reached the server, after which everything in it is looked at. Calls that the
simulated network lost or refused are not counted.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from types import SimpleNamespace

import pytest

from tests.simulator.mutants import IN_ENGINE, IN_LUA, replaced
from tests.simulator.people import HURTS
from tests.simulator.run import simulate
from tests.simulator.seeds import FOUND_BY, SHORT, finds
from tests.support.server import Server

STEPS, SEEDS_EACH = 2_000, 5
#: How many seeds are tried for a fault that its own seed does not find any more.
TRIES = 40


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(10))
def test_no_invariant_is_violated(redis_server: Server, part: int) -> None:
    for seed in range(1 + part * SEEDS_EACH, 1 + (part + 1) * SEEDS_EACH):
        result = simulate(redis_server, seed, STEPS)
        assert result.violation is None, json.dumps(result.trace, indent=1)
        assert result.steps >= STEPS


@pytest.mark.parametrize(
    ("seed", "cancels", "hurts"),
    [
        (109, False, HURTS),
        (45, False, HURTS),
        (59, False, HURTS),
        (276, True, HURTS),
        (1066, True, ("freeze", "silent", "down")),
    ],
)
def test_seeds_that_found_something(
    redis_server: Server, seed: int, cancels: bool, hurts: tuple[str, ...]
) -> None:
    """45: two attempts at one job in one renewal, where the old one's loss was taken for the new one's.

    109: a claim whose reply was lost and which then met a fault was forgotten until its lease ended.
    45, later: such a claim waited at the doorbell while its lease ended. 59: a worker that stopped gave
    its claim up, which came late and took a job. 276, 1066: the lease of a consumer that had just been
    frozen ended while the server was silent, and another one's sweep was executed before its renewal.
    """
    assert simulate(redis_server, seed, STEPS, None, hurts, cancels=cancels).violation is None


def test_a_seed_replays_exactly(redis_server: Server) -> None:
    first, second = [simulate(redis_server, 7, 600) for _ in range(2)]
    other = simulate(redis_server, 8, 600)
    assert (first.digest, first.trace, first.calls) == (second.digest, second.trace, second.calls)
    assert first.digest != other.digest


def test_the_real_clock_changes_nothing(
    redis_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen: on a slow machine, a module with a real time limit made another history of the same seed."""
    first = simulate(redis_server, 9, 600)
    gone = itertools.count(0, 3)
    slow = SimpleNamespace(**{**vars(time), "monotonic": lambda: time.monotonic() + next(gone)})
    for name, module in list(sys.modules.items()):
        if name.startswith(("hsejobs.engine.", "hsejobs.store.")) and hasattr(module, "time"):
            monkeypatch.setattr(module, "time", slow)
    second = simulate(redis_server, 9, 600)
    assert (first.digest, first.trace) == (second.digest, second.trace)


def test_everything_has_its_turn(redis_server: Server) -> None:
    """The simulator takes every kind of action; it could find no fault in one that it never takes."""
    expected = (
        "add",
        "periodic",
        "complete",
        "fail",
        "postpone",
        "release",
        "renew",
        "stall",
        "sweep",
        "progress",
        "log",
        "mark",
        "promote",
        "cancel",
        "retry",
        "remove",
        "restore",
        "clean",
        "pause",
        "heartbeat",
        "stats",
        "ahead",
        "recalled",
    )
    left = set(expected)
    for seed in range(1, 21):
        left -= {name for name, times in simulate(redis_server, seed, STEPS).calls.items() if times}
        if not left:
            break
    assert left == set()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", FOUND_BY)
def test_an_old_fault_put_back_is_found(redis_server: Server, name: str) -> None:
    """By the seed that once found it, or by another one: a change of the engine makes other histories."""
    seeds = FOUND_BY[name][0], *range(1, TRIES + 1)
    assert next((one for one in seeds if finds(redis_server, name, one)), None) is not None


def test_every_fault_has_a_seed() -> None:
    assert set(FOUND_BY) == {*IN_LUA, *IN_ENGINE}


def test_a_cancelled_job_that_completes_is_found(redis_server: Server) -> None:
    def patch(text: str) -> str:
        return replaced("if job[3] and job[2]", "if job[10] and job[2]")(text)

    seeds = 5, *range(1, TRIES + 1)
    found = (simulate(redis_server, one, SHORT, {"complete": patch}).violation for one in seeds)
    assert any("a->c: it was cancelled" in (one or "") for one in found)
