"""Accepted jobs a second and p99 of the shim at 64 connections, by keep-alive HTTP on one machine.

``python -m benchmarks.http URL TOKEN [SECONDS]`` loads a server that runs; the email queue should
have no worker. Any server with the same route can be measured with it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from urllib.parse import urlsplit

CONNECTIONS = 64
BODY = json.dumps({"to": "user@example.com", "subject": "Hi", "text": "there"}).encode()


async def _connection(
    host: str, port: int, request: bytes, end: float, took: list[float], ids: list[str]
) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        while time.perf_counter() < end:
            started = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            fields = dict(
                line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line
            )
            body = await reader.readexactly(int(fields[b"content-length"]))
            if head[9:12] != b"202":
                raise SystemExit(f"answered {head[9:12].decode()}: {body[:200]!r}")
            took.append(time.perf_counter() - started)
            ids.append(json.loads(body)["jobId"])
    except (ConnectionError, asyncio.IncompleteReadError):
        return  # the server was stopped: what it accepted is in `ids`
    finally:
        writer.close()


async def load(url: str, token: str, seconds: float) -> tuple[list[float], list[str]]:
    """Round trips in seconds, and the ids of all accepted jobs."""
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    request = (
        f"POST /api/jobs/email HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
    ).encode() + BODY
    took: list[float] = []
    ids: list[str] = []
    end = time.perf_counter() + seconds
    await asyncio.gather(
        *(_connection(host, port, request, end, took, ids) for _ in range(CONNECTIONS))
    )
    return took, ids


def main() -> None:
    """Prints one line of JSON."""
    url, token = sys.argv[1:3]
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 10.0
    took, _ = asyncio.run(load(url, token, seconds))
    took.sort()
    figures = {
        "jobs_a_second": round(len(took) / seconds),
        "p50_ms": round(1000 * took[len(took) // 2], 2),
        "p99_ms": round(1000 * took[int(len(took) * 0.99)], 2),
    }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
