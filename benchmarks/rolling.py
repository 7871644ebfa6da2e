"""Rolling deploys under load: two releases, two consumers of each, restarts in both directions.

``python -m benchmarks.rolling`` prints one JSON document and exits with 1 if a job failed, used an attempt,
was lost or ran twice. Two parts:

- ``library``: the last release of hsejobs (the newest tag, else the commit in ``peer.txt``; or a built
  wheel, ``--peer-wheel``) beside this working tree. Consumers of 0.1.0 fail jobs that they do not know;
  those of the working tree hold them back.
- ``application``: two releases of an application on this working tree.

In both, the newer release has a new task, a renamed task, a new field, a removed field and another key, and
producers of both add jobs of all kinds that they have while both run.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from benchmarks.server import Server, find_binary

HERE = Path(__file__).parent
PROGRAM = HERE / "rolling_app"
PREFIX, QUEUE = "rolling", "rolling"
KEYS = {"one": "1" * 43, "two": "2" * 43}
#: Seconds that a consumer may take to be seen, and that the last jobs may take.
START, END = 30.0, 120.0


class NoPeer(Exception):
    """The release to compare with is not in this clone's history."""


@dataclass(frozen=True)
class Release:
    """What one side runs: a tree of hsejobs, a release of the application, its keys and its jobs."""

    name: str
    tree: Path
    app: str
    keys: str
    sends: str

    def env(self, url: str) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": f"{self.tree}{os.pathsep}{PROGRAM / self.app}",
            "QUEUE_REDIS_URL": url,
            "QUEUE_REDIS_PREFIX": PREFIX,
            "JOBS_SECRET_KEY": self.keys,
            "JOBS_LOG_LEVEL": "ERROR",
            "ROLLING_SENDS": self.sends,
            "ROLLING_TREE": str(self.tree),
        }


@dataclass
class Part:
    """One part while it runs: a server, the releases, and their processes."""

    old: Release
    new: Release
    folder: Path
    server: Server
    rate: int
    #: The fewest consumers of the newer release while the part runs.
    fewest: int = 0
    consumers: list[tuple[Release, subprocess.Popen[bytes]]] = field(default_factory=list)
    producers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def run(self, restarts: int) -> dict[str, Any]:
        """Runs the part; returns what became of the jobs."""
        began = time.monotonic()
        try:
            self._start(self.old, self.new, self.old, self.new)
            for release in (self.old, self.new):
                self._produce(release)
            forward = True
            for _ in range(restarts):
                # Until all four run the newer release, then back to the fewest of it, and so on.
                running = [release for release, _ in self.consumers].count(self.new)
                if running == (4 if forward else self.fewest):
                    forward = not forward
                self._replace(self.old if forward else self.new)
            if self.new not in [release for release, _ in self.consumers]:
                # Somebody must run the jobs that only the newer release knows.
                self._replace(self.old)
            for producer in self.producers:
                producer.send_signal(signal.SIGTERM)
                if producer.wait(30):
                    raise RuntimeError(f"a producer ended with {producer.returncode}")
            return {
                **self._verdict(),
                "restarts": restarts,
                "seconds": round(time.monotonic() - began),
            }
        finally:
            for process in (*self.producers, *(one for _, one in self.consumers)):
                process.kill()
                process.wait()

    def _start(self, *releases: Release) -> None:
        """Starts consumers at the same time, and waits until all of them run."""
        started = []
        for release in releases:
            with (self.folder / "consumers.log").open("ab") as log:
                process = subprocess.Popen(
                    [
                        sys.executable,
                        *["-m", "huey.bin.huey_consumer", "rolling_jobs.huey", "-w", "2"],
                    ],
                    cwd=self.folder,
                    env=release.env(self.server.url),
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            started.append((release, process))
            self.consumers.append((release, process))
        give_up = time.monotonic() + START
        for release, process in started:
            while not self._is_seen(process.pid):
                if process.poll() is not None or time.monotonic() > give_up:
                    raise RuntimeError(f"a consumer of {release.name} did not start: {self._log()}")
                time.sleep(0.02)

    def _is_seen(self, pid: int) -> bool:
        names = self._client.zrange(f"{PREFIX}:{{{QUEUE}}}:workers", 0, -1)
        return any(f":{pid}:".encode() in name for name in names)

    def _replace(self, release: Release) -> None:
        """Stops a consumer of this release while it works, and starts one of the other in its place."""
        one = next(pair for pair in self.consumers if pair[0] is release)
        self.consumers.remove(one)
        _, process = one
        process.terminate()
        if process.wait(30):
            raise RuntimeError(f"a consumer of {release.name} ended with {process.returncode}")
        self._start(self.new if release is self.old else self.old)

    def _produce(self, release: Release) -> None:
        with (self.folder / f"{release.name}.ids").open("wb") as out:
            self.producers.append(
                subprocess.Popen(
                    [sys.executable, str(PROGRAM / "produce.py"), str(self.rate / 2)],
                    cwd=self.folder,
                    env=release.env(self.server.url),
                    stdout=out,
                    start_new_session=True,
                )
            )

    @property
    def _client(self) -> Any:
        return redis.Redis.from_url(self.server.url)

    def _log(self) -> str:
        return (self.folder / "consumers.log").read_text(errors="replace")[-2000:]

    def _verdict(self) -> dict[str, Any]:
        base, client = f"{PREFIX}:{{{QUEUE}}}:", self._client
        give_up = time.monotonic() + END
        while any(client.zcard(base + state) for state in ("waiting", "active", "delayed")):
            if time.monotonic() > give_up:
                break
            time.sleep(0.1)
        sent: dict[str, int] = {}
        ids: list[str] = []
        for release in (self.old, self.new):
            for line in (self.folder / f"{release.name}.ids").read_text().splitlines():
                kind, job_id = line.split()
                sent[kind] = sent.get(kind, 0) + 1
                ids.append(job_id)
        runs = client.hgetall(f"{PREFIX}-runs")
        found = {"failed": 0, "attempts_used": 0, "lost": 0, "doubled": 0, "sent_back": 0}
        for job_id in ids:
            state, made, back = client.hmget(f"{base}j:{job_id}", "st", "am", "bs")
            errors = client.llen(f"{base}e:{job_id}")
            found["failed"] += state == b"f"
            found["lost"] += state not in (b"f", b"c")
            found["attempts_used"] += max(errors, int(made or 1) - 1)
            found["doubled"] += int(runs.get(job_id.encode(), 0)) > 1
            found["sent_back"] += back is not None
        return {"jobs": len(ids), "sent": sent, **found}


def peer(folder: Path, reference: str | None = None) -> tuple[str, Path]:
    """A tree of the last release. Raises NoPeer if this clone does not have it."""

    def git(*words: str, **more: Any) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                ["git", *words],  # noqa: S607
                cwd=HERE.parent,
                capture_output=True,
                **more,
            )
        except FileNotFoundError:
            raise NoPeer("git is not installed, which has the tree of the last release") from None

    if reference is None:
        tag = git("describe", "--tags", "--abbrev=0", "--match", "v[0-9]*")
        reference = tag.stdout.decode().strip() or (HERE / "peer.txt").read_text().strip()
    archive = git("archive", reference, "hsejobs", "hsejobs_http", "hsejobs_cli")
    if archive.returncode:
        raise NoPeer(
            f"this tree has no history that reaches {reference}, the last release, as in a shallow"
            " clone or an export; fetch the whole history"
        )
    tree = folder / "peer"
    tree.mkdir()
    subprocess.run(["tar", "-x"], cwd=tree, input=archive.stdout, check=True)  # noqa: S607
    return reference, tree


def unpacked(folder: Path, wheel: Path) -> tuple[str, Path]:
    """The tree of a built wheel: a wheel of pure Python runs as it is unpacked. Raises NoPeer."""
    tree = folder / "peer"
    try:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(tree)
    except (OSError, zipfile.BadZipFile) as error:
        raise NoPeer(f"{wheel} is not a readable wheel: {error}") from None
    if not (tree / "hsejobs" / "__init__.py").is_file():
        raise NoPeer(f"{wheel} is not a wheel of hsejobs")
    return wheel.name, tree


def releases(older: Path, newer: Path) -> tuple[Release, Release]:
    """Two releases of the application on these trees, each sending all it has."""
    one, two = KEYS["one"], KEYS["two"]
    return (
        Release("first", older, "first", one, "plain,removed,former"),
        Release("second", newer, "second", f"{two},{one}", "plain,new_task,renamed,new_field"),
    )


def run(
    restarts: int,
    rate: int,
    reference: str | None = None,
    binary: str | None = None,
    wheel: Path | None = None,
) -> dict[str, Any]:
    """Both parts, with ``restarts`` restarts each; ``wheel``: the peer, instead of ``reference``.

    Raises NoPeer.
    """
    found: dict[str, Any] = {"rate": rate}
    with tempfile.TemporaryDirectory(prefix="hj-rolling-") as name:
        folder = Path(name)
        found["peer"], tree = unpacked(folder, wheel) if wheel else peer(folder, reference)
        for part, older in (("library", tree), ("application", HERE.parent)):
            found[part] = run_part(part, folder / part, older, restarts, rate, binary)
    found["good"] = all(is_good(found[part]) for part in ("library", "application"))
    return found


def run_part(
    part: str, folder: Path, older: Path, restarts: int, rate: int, binary: str | None = None
) -> dict[str, Any]:
    """One part in this folder: a release on the tree ``older``, and a newer one on this working tree."""
    # Once no newer consumer runs for 20 s, those of 0.1.0 take all jobs, and fail the new ones.
    fewest = 1 if part == "library" else 0
    old, new = releases(older, HERE.parent)
    folder.mkdir(exist_ok=True)
    with Server(find_binary(binary), folder) as server:
        return Part(old, new, folder, server, rate, fewest).run(restarts)


def is_good(part: Mapping[str, Any]) -> bool:
    """Whether nothing was failed, used, lost or doubled, and something ran."""
    wrong = ("failed", "attempts_used", "lost", "doubled")
    return part["jobs"] > 0 and not any(part[name] for name in wrong)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rolling", description=__doc__)
    parser.add_argument("--restarts", type=int, default=20, help="restarts a part (default 20)")
    parser.add_argument("--rate", type=int, default=200, help="jobs a second (default 200)")
    parser.add_argument("--peer", help="the commit or tag of the other release of hsejobs")
    parser.add_argument("--peer-wheel", type=Path, metavar="PATH", help="its built wheel instead")
    parser.add_argument("--redis", help="a server program, or valkey for the packaged one")
    given = parser.parse_args()
    try:
        found = run(given.restarts, given.rate, given.peer, given.redis, given.peer_wheel)
    except NoPeer as error:
        sys.exit(f"error: {error}")
    json.dump(found, sys.stdout, indent=2)
    sys.stdout.write("\n")
    sys.exit(0 if found["good"] else 1)


if __name__ == "__main__":
    main()
