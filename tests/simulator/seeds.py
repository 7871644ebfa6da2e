"""Finds seeds for ``FOUND_BY`` again, after the engine draws its random numbers in another order.

``python -m tests.simulator.seeds [MOST]`` tries each fault's own seed first and then 1 to MOST (60),
and prints the faults that need another seed now.
"""

from __future__ import annotations

import contextlib
import sys

from tests.simulator.mutants import IN_ENGINE, IN_LUA
from tests.simulator.run import simulate
from tests.simulator.test_simulator import FOUND_BY, SHORT
from tests.support.server import Server, server_binary


def finds(server: Server, name: str, seed: int) -> bool:
    """Whether the fault is found with this seed, and nothing without the fault."""
    _, hurts, told = FOUND_BY[name]
    patches = dict([IN_LUA[name]]) if name in IN_LUA else None
    with IN_ENGINE.get(name, contextlib.nullcontext)():
        found = simulate(server, seed, SHORT, patches, hurts, cancels=False)
    if told not in (found.violation or ""):
        return False
    again = simulate(server, seed, found.at_step + 50, None, hurts, cancels=False)
    return again.violation is None


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
