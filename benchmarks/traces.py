"""What traces cost a queue of mails: two consumers drain the same mails in turn, one of them with traces.

    python -m benchmarks.traces [MAILS] [ROUNDS]     # 800 mails, 12 rounds

Each consumer is ``hsejobs worker email`` with a Redis and an outbox of its own; a real OTLP/HTTP receiver
takes the spans. Prints one JSON document: us of CPU and of time for each mail, the median of the rounds
for each side, and of the ratios within a round, with their spread.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.cpu import of_tree
from hsejobs import codec
from hsejobs.store.client import RedisClient
from hsejobs.store.read import JobReader
from hsejobs.store.write import JobWriter, NewJob
from tests.support.collector import collecting
from tests.support.server import Server, server_binary

QUEUE, TASK = "email", "tasks.email.send_email"
MAIL = {"to": "user@example.com", "subject": "Welcome", "html": "<p>Hello!</p>", "text": "Hello!"}
FIGURES = ("cpu_us", "wall_us")


class Side:
    """One of the two consumers, with its own server."""

    def __init__(self, server: Server, home: Path, env: dict[str, str]) -> None:
        own = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL", "JOBS", "QUEUE"))}
        self.client = RedisClient(server.url)
        self.reader, self.writer = (
            JobReader(self.client, "hsejobs"),
            JobWriter(self.client, "hsejobs"),
        )
        self.mails = 0
        with (home / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hsejobs_cli", "worker", QUEUE],
                env={**own, **env, "QUEUE_REDIS_URL": server.url, "JOBS_HOME": str(home)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._until(lambda: self.reader.stats([QUEUE])[0].consumers)

    def drain(self, mails: int) -> tuple[float, float]:
        """Us of CPU and of time for each mail, from the queue's resume until all were sent."""
        self.writer.pause(QUEUE)
        wanted = self.reader.stats([QUEUE])[0].completed + mails
        payload = codec.dumps(MAIL)
        for _ in range(mails):
            self.mails += 1
            name = f"m{self.mails}"
            self.writer.add(QUEUE, NewJob(name, TASK, payload, 3, 3, 1000, 0, nonce="n"))
        cpu, began = of_tree(self.process.pid), time.perf_counter()
        self.writer.resume(QUEUE)
        self._until(lambda: self.reader.stats([QUEUE])[0].completed >= wanted)
        passed = time.perf_counter() - began
        # The last spans are exported behind the jobs.
        time.sleep(0.4)
        return 1e6 * (of_tree(self.process.pid) - cpu) / mails, 1e6 * passed / mails

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(30)
        self.client.close()

    def _until(self, seen: Any) -> None:
        while not seen():
            if self.process.poll() is not None or self.reader.stats([QUEUE])[0].failed:
                raise SystemExit("the consumer ended, or a mail failed")
            time.sleep(0.01)


def main() -> None:
    given = [int(word) for word in sys.argv[1:3]]
    mails, rounds = [*given, *(800, 12)[len(given) :]]
    found: list[dict[str, tuple[float, float]]] = []
    with (
        tempfile.TemporaryDirectory() as home,
        Server(server_binary()) as first,
        Server(server_binary()) as second,
        collecting() as collector,
    ):
        folders = [Path(home) / name for name in ("off", "on")]
        for folder in folders:
            folder.mkdir()
        # With the delays of the SDK, as shipped.
        env = {name: value for name, value in collector.env.items() if "BSP" not in name}
        sides = {"off": Side(first, folders[0], {}), "on": Side(second, folders[1], env)}
        try:
            # The first round warms both.
            for number in range(rounds + 1):
                order = sorted(sides, reverse=bool(number % 2))
                found.append({name: sides[name].drain(mails) for name in order})
        finally:
            for side in sides.values():
                side.stop()
        spans = len(collector.named(f"process {QUEUE}"))
    report: dict[str, Any] = {"mails": mails, "rounds": rounds, "spans": spans}
    for at, figure in enumerate(FIGURES):
        ratios = sorted(one["on"][at] / one["off"][at] for one in found[1:])
        report[figure] = {
            **{
                name: round(statistics.median(one[name][at] for one in found[1:])) for name in sides
            },
            "ratio": round(statistics.median(ratios), 3),
            "spread": [round(ratios[0], 3), round(ratios[-1], 3)],
        }
    print(json.dumps(report, indent=2))
    if spans < mails * rounds:
        raise SystemExit("spans are missing")


if __name__ == "__main__":
    main()
