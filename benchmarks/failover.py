"""How many acknowledged jobs a failover loses, by what the settings promise.

Usage: ``python benchmarks/failover.py [--trials 5]``. A primary with one replica and three
sentinels; one thread adds jobs; then the primary is killed, either while its replica is up to date
(``close``) or after the replica got nothing for four seconds, like one that the network cut off
(``behind``). A job is lost if ``add`` returned and the new primary does not have it. Refused adds are
those that raised; callers retry them, so they do not count as lost.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading
import time
from pathlib import Path

import redis

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from hsejobs.errors import JobsError
from hsejobs.store.client import RedisClient
from hsejobs.store.write import JobWriter, NewJob
from tests.support.sentinel import SentinelSet
from tests.support.server import Server, server_binary

#: Name, replicas that an add waits for, the server's min-replicas-to-write.
MODES = (
    ("neither", 0, 0),
    ("min-replicas-to-write 1, max-lag 2", 0, 1),
    ("QUEUE_REDIS_WAIT_REPLICAS=1", 1, 0),
    ("both", 1, 1),
)
BEFORE, BEHIND = 2.0, 4.0


class Adder(threading.Thread):
    """Adds one job after the other, about 500 per second, until it is stopped."""

    def __init__(self, url: str, wait: int) -> None:
        super().__init__()
        self.writer = JobWriter(RedisClient(url, wait_replicas=wait), "t")
        self.accepted: list[str] = []
        self.refused = 0
        self.done = threading.Event()

    def run(self) -> None:
        number = 0
        while not self.done.is_set():
            number += 1
            job_id = f"j{number}"
            try:
                self.writer.add("q", NewJob(job_id, "m.task", b"{}", 3, 1, 0, 0))
            # redis-py's own errors also occur while a primary is replaced.
            except Exception as error:
                if not isinstance(error, JobsError) and "redis" not in type(error).__module__:
                    raise
                self.refused += 1
            else:
                self.accepted.append(job_id)
            time.sleep(0.002)
        self.writer.redis.close()


def trial(wait: int, minimum: int, *, behind: bool) -> tuple[int, int, int]:
    """Accepted, refused and lost adds of one failover."""
    with SentinelSet(server_binary()) as sentinels:
        primary = sentinels.primary
        (replica,) = (one for one in sentinels.servers if one is not primary)
        for server in sentinels.servers:
            with server.client() as client:
                client.config_set("min-replicas-to-write", minimum)
                client.config_set("min-replicas-max-lag", 2)
                client.config_set("appendonly", "yes")
                while client.info("persistence")["aof_rewrite_in_progress"]:
                    time.sleep(0.02)
                client.config_rewrite()
        adder = Adder(sentinels.url, wait)
        adder.start()
        time.sleep(BEFORE)
        if behind:
            replica.freeze()
            time.sleep(BEHIND)
        primary.kill()
        if behind:
            # Kill it: a resumed one would still read its socket's buffer.
            replica.kill()
            replica.start()
        adder.done.set()
        adder.join()
        return len(adder.accepted), adder.refused, _lost(replica, adder.accepted)


def _lost(replica: Server, accepted: list[str]) -> int:
    end = time.monotonic() + 60
    # A server that changes its role closes its connections.
    while True:
        with contextlib.suppress(redis.RedisError), replica.client() as client:
            if client.info("replication")["role"] == "master":
                return sum(1 for one in accepted if not client.exists(f"t:{{q}}:j:{one}"))
        if time.monotonic() > end:
            raise TimeoutError("no replica became the primary")
        time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=5)
    trials = parser.parse_args().trials
    print("| setting | replica | accepted | refused | lost, each trial |\n|---|---|---|---|---|")
    for name, wait, minimum in MODES:
        for behind in (False, True):
            found = [trial(wait, minimum, behind=behind) for _ in range(trials)]
            lost = ", ".join(str(one[2]) for one in found)
            accepted, refused = (sum(one[n] for one in found) for n in (0, 1))
            where = "4 s behind" if behind else "close"
            print(f"| {name} | {where} | {accepted} | {refused} | {lost} |", flush=True)


if __name__ == "__main__":
    main()
