"""Accepted jobs per second and latencies of the shim and of Express with Bull 4, 64 connections each.

``python -m benchmarks.http [--seconds 8] [--rounds 3] [--link tcp]`` runs both in turn, one process
each, with a private Redis each, signed tokens and no workers; the client is the same and keeps its
connections. hsejobs runs as shipped, and again without its log of every request. ``--url URL --token
TOKEN`` loads a server that runs already.

Prints one JSON document: ``median`` and ``spread`` (lowest and highest) of each side's figures, and
``ratio``, hsejobs over Express round by round, of each of them. ``server CPU us`` and ``redis CPU us``
are for an accepted job; ``lost`` counts accepted jobs that are not in Redis.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks import cpu
from benchmarks.cases import LINKS, ROUND_TRIP
from benchmarks.contestants import Address
from benchmarks.distance import Distance
from benchmarks.figures import medians, ratios, spreads
from benchmarks.server import Server, find_binary, free_port

CONNECTIONS = 64
BODY = json.dumps(
    {"to": "user@example.com", "subject": "Test Email", "html": "<p>Hello!</p>", "text": "Hello!"}
).encode()
SECRET = "benchmark-benchmark-benchmark-32"
PEER = Path(__file__).resolve().parent / "peers/bull/http.js"
PACKAGES = ("bull@4", "express@4", "jsonwebtoken@9")


class _Connection(asyncio.Protocol):
    """Send one request after the other until ``end``."""

    def __init__(self, request: bytes, end: float, took: list[float], ids: list[str]) -> None:
        self.request, self.end, self.took, self.ids = request, end, took, ids
        self.done = asyncio.get_running_loop().create_future()
        self.data = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._send()

    def _send(self) -> None:
        self.data = b""
        self.started = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.data = self.data + data if self.data else data
        head, found, body = self.data.partition(b"\r\n\r\n")
        if not found:
            return
        at = head.lower().find(b"content-length: ") + 16
        if len(body) < int(head[at:].split(b"\r\n", 1)[0]):
            return
        now = time.perf_counter()
        if head[9:12] != b"202":
            if not self.done.done():
                self.done.set_exception(RuntimeError(f"answered {self.data[:300]!r}"))
            self.transport.close()
            return
        self.took.append(now - self.started)
        self.ids.append(str(json.loads(body)["jobId"]))
        if now < self.end:
            self._send()
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        # The server was stopped: `ids` has the jobs that it accepted.
        if not self.done.done():
            self.done.set_result(None)


async def load(url: str, token: str, seconds: float) -> tuple[list[float], list[str]]:
    """Return the round-trip times in seconds, and the ids of all accepted jobs."""
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    request = (
        f"POST /api/jobs/email HTTP/1.1\r\nHost: {host}:{port}\r\n"
        f"Authorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
    ).encode() + BODY
    took: list[float] = []
    ids: list[str] = []
    end = time.perf_counter() + seconds
    loop = asyncio.get_running_loop()
    made = [
        (await loop.create_connection(lambda: _Connection(request, end, took, ids), host, port))[1]
        for _ in range(CONNECTIONS)
    ]
    await asyncio.gather(*(one.done for one in made))
    return took, ids


def figures(
    url: str, token: str, seconds: float, spent: Callable[[], dict[str, float]] = dict
) -> dict[str, Any]:
    """Run one measurement after a second of warm-up. ``spent`` gives CPU seconds so far, by name."""
    asyncio.run(load(url, token, 1.0))
    before, began = spent(), time.perf_counter()
    took, ids = asyncio.run(load(url, token, seconds))
    passed, after = time.perf_counter() - began, spent()
    took.sort()
    costs = {name: round((after[name] - before[name]) / len(took) * 1e6, 1) for name in after}
    return costs | {
        "jobs_a_second": round(len(took) / passed),
        "p50_ms": round(1000 * took[len(took) // 2], 2),
        "p99_ms": round(1000 * took[int(len(took) * 0.99)], 2),
        "ids": ids,
    }


def _token() -> str:
    import jwt

    claims = {"sub": "ann", "organizationId": "org-1", "exp": int(time.time()) + 3600}
    return jwt.encode(claims, SECRET, algorithm="HS256")


@contextlib.contextmanager
def _running(
    words: list[str], env: dict[str, str], folder: Path
) -> Iterator[subprocess.Popen[str]]:
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            words, env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def _answers(url: str) -> None:
    give_up = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - http://127.0.0.1
                return
        except OSError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.05)


def _spent(process: subprocess.Popen[str], server: Server) -> Callable[[], dict[str, float]]:
    return lambda: {"server CPU us": cpu.of_tree(process.pid), "redis CPU us": server.cpu()}


def shim(
    server: Server, address: Address, folder: Path, seconds: float, level: str | None
) -> dict[str, Any]:
    """Return the shim's figures; ``level``: the log level, None for the one that is shipped."""
    port = free_port()
    env = {
        "QUEUE_REDIS_URL": address.url,
        "JOBS_HTTP_PORT": str(port),
        "JOBS_JWT_SECRET": SECRET,
        "JOBS_HOME": str(folder / "home"),
    }
    if level is not None:
        env["JOBS_LOG_LEVEL"] = level
    with _running([sys.executable, "-m", "hsejobs_cli", "serve"], env, folder) as process:
        url = f"http://127.0.0.1:{port}"
        _answers(f"{url}/healthz")
        found = figures(url, _token(), seconds, _spent(process, server))
    found["lost"] = _lost(server, "hsejobs:{email}:j:", found.pop("ids"))
    return found


def express(
    server: Server, address: Address, folder: Path, seconds: float, modules: Path
) -> dict[str, Any]:
    """Return the same figures of Express with Bull."""
    env = {
        "BENCH_REDIS_PORT": str(address.port),
        "BENCH_REDIS_SOCKET": str(address.socket),
        "JOBS_JWT_SECRET": SECRET,
        "NODE_PATH": str(modules / "node_modules"),
        "NODE_ENV": "production",
    }
    with _running(["node", str(PEER)], env, folder) as process:
        port = int(process.stdout.readline()) if process.stdout else 0
        url = f"http://127.0.0.1:{port}"
        found = figures(url, _token(), seconds, _spent(process, server))
    found["lost"] = _lost(server, "bull:email:", found.pop("ids"))
    return found


def _lost(server: Server, prefix: str, ids: list[str]) -> int:
    """How many of the accepted jobs are not there, or have the id of another."""
    there = sum(server.ask_many([("EXISTS", prefix + one) for one in set(ids)]))
    return len(ids) - int(there)


def installed() -> Path | None:
    """Return the folder with Express and Bull, installed once; None without Node."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return None
    home = Path(tempfile.gettempdir()) / f"hsejobs-benchmark-express-{os.getuid()}"
    if not (home / "node_modules/express/package.json").exists():
        home.mkdir(mode=0o700, exist_ok=True)
        if home.stat().st_uid != os.getuid():
            return None
        (home / "package.json").write_text('{"private": true}\n')
        install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *PACKAGES]
        subprocess.run(install, cwd=home, check=True, capture_output=True, timeout=300)
    return home


def _one(name: str, link: str, seconds: float, modules: Path | None) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir="/tmp"))
    try:
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(Server(find_binary(None), folder, tcp=link == "tcp"))
            port = server.port
            if link == "1ms":
                port = stack.enter_context(Distance(server.socket, ROUND_TRIP)).port
            address = Address(port, server.socket)
            if modules is not None:
                return express(server, address, folder, seconds, modules)
            level = None if name == "hsejobs" else "WARNING"
            return shim(server, address, folder, seconds, level)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def compare(seconds: float, rounds: int, link: str) -> dict[str, Any]:
    """Medians and spreads of each, and the ratios pair by pair."""
    modules = installed()
    names = ["hsejobs", "hsejobs, warnings only", *(["express"] if modules else [])]
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            found = _one(name, link, seconds, modules if name == "express" else None)
            sys.stderr.write(f"{name}: {found}\n")
            runs[name].append(found)
    document: dict[str, Any] = {
        "connections": CONNECTIONS,
        "link": link,
        "median": {name: medians(found) for name, found in runs.items()},
        "spread": {name: spreads(found) for name, found in runs.items()},
    }
    if "express" in runs:
        document["ratio"] = {
            name: ratios(found, runs["express"])
            for name, found in runs.items()
            if name != "express"
        }
    return document


def main() -> None:
    """Print one JSON document; print each run's result to stderr."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.http")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--link", choices=LINKS, default="tcp", help="to Redis")
    parser.add_argument("--url")
    parser.add_argument("--token", default="")
    given = parser.parse_args()
    if given.url:
        found = figures(given.url, given.token, given.seconds)
        del found["ids"]
    else:
        found = compare(given.seconds, given.rounds, given.link)
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
