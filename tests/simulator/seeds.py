"""Seeds that find former faults; run, finds them again.

A change of the engine may draw its random numbers in another order, which makes other histories.

``python -m tests.simulator.seeds [MOST]`` tries each fault's own seed first and then 1 to MOST (60),
and prints the faults that need another seed now.
"""

from __future__ import annotations

import contextlib
import json
import sys

from tests.simulator.mutants import IN_ENGINE, IN_LUA
from tests.simulator.people import HURTS
from tests.simulator.run import simulate
from tests.support.server import Server, server_binary

#: Steps within which a fault is found.
SHORT = 1_000
TAKEN = "its lease was taken while"
ALONE = "one of them may run only alone"
#: For each fault that is put back: a seed that finds it, what hurts, and what it is found by.
FOUND_BY: dict[str, tuple[int, tuple[str, ...], str]] = {
    "renewals refused on a full server, sweeps allowed": (1, ("full",), TAKEN),
    "fail without the token check": (4, ("freeze", "cut", "noise"), "a token that lost wrote"),
    "renew without the token check": (3, ("freeze",), "a token that lost wrote"),
    "log lines written again": (2, ("noise",), "log lines are written twice"),
    "a mark used up by a lost reply": (20, ("noise",), "was granted to no attempt"),
    "late sweeps take leases": (1, ("silent",), TAKEN),
    "a postponed job uses an attempt": (2, HURTS, "1 attempts are used up, should be 0"),
    "an organization's index forgotten": (3, HURTS, "is wrong in active of one"),
    "a claim is sent again as a new one": (3, ("noise",), TAKEN),
    "late claims take jobs": (4, ("silent",), "no worker will run it"),
    "an outcome is dropped when its write fails": (4, ("down", "refuse", "noise"), TAKEN),
    "what was taken back is dropped": (3, HURTS, TAKEN),
    "what was taken back is taken back forever": (3, HURTS, "called Redis 500 times"),
    "sweeps before the renewals after an outage": (2, ("down", "silent"), TAKEN),
    "telling raises": (2, ("down", "full"), "log() raised"),
    "what Redis says ends a worker": (1, HURTS, "died: RuntimeError"),
    "a dead process's failure is not noticed": (
        35,
        ("kill_worker", "kill_worker", "refuse", "full"),
        TAKEN,
    ),
    "suspects run beside others": (1, ("crash", "kill_worker"), ALONE),
    "a suspect does not wait": (1, ("crash", "kill_worker"), ALONE),
    "a slow job keeps the next batch": (8, ("noise",), TAKEN),
    "a lost claim ahead is forgotten": (4, ("down", "silent", "noise"), TAKEN),
    "a lost claim behind another is forgotten": (4, ("down", "silent", "noise"), TAKEN),
}


def finds(server: Server, name: str, seed: int) -> bool:
    """Whether the fault is found with this seed. What it finds without the fault is no fault put back:
    AssertionError.
    """
    _, hurts, told = FOUND_BY[name]
    patches = dict([IN_LUA[name]]) if name in IN_LUA else None
    with IN_ENGINE.get(name, contextlib.nullcontext)():
        found = simulate(server, seed, SHORT, patches, hurts, cancels=False)
    if told not in (found.violation or ""):
        return False
    again = simulate(server, seed, found.at_step + 50, None, hurts, cancels=False)
    assert again.violation is None, json.dumps(again.trace, indent=1)
    return True


def main() -> None:
    most = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    server = Server(server_binary())
    server.start()
    try:
        for name, (own, _, _) in FOUND_BY.items():
            seed = next((s for s in (own, *range(1, most + 1)) if finds(server, name, s)), None)
            if seed != own:
                print(f"{name}: {seed}", flush=True)
    finally:
        server.close()


if __name__ == "__main__":
    main()
