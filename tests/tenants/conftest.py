"""An organization with something of every kind, and a search for what is left of it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import redis

import huey_config
from hsejobs.control.actors import Actor
from hsejobs.control.acts import Acts
from hsejobs.control.audit import FileLog
from hsejobs.engine import JobFailed
from hsejobs.engine.runtime import reset_runtime, runtime
from hsejobs.model import State
from tasks import queue_data_export, queue_email, queue_report, queue_webhook
from tests.support import wait_until
from tests.support.consumers import Consumers

MAIL = {"to": "user@example.com", "subject": "Hi", "text": "there"}


def fresh() -> None:
    """This process adds to the test's Redis, in which its queues have described themselves."""
    reset_runtime()
    for huey in huey_config.QUEUES.values():
        huey.register(again=True)


def live(org: str, home: Path, workers: Consumers) -> dict[str, Any]:
    """Adds data of every kind for an organization; returns the number of its jobs."""
    for name in ("email", "reports", "data_exports", "webhooks"):
        workers.start(f"huey_config.{name}", "-w", "1", WEBHOOK_ALLOW_PRIVATE="1")
    whose: dict[str, Any] = {"organization_id": org, "user_id": f"ann@{org}.example"}
    report = queue_report({"type": "audits", "notifyEmail": f"ann@{org}.example"}, **whose)
    export = queue_data_export({"entities": ["stations"], "format": "csv"}, **whose)
    report.wait(60)
    export.wait(60)
    for number in range(3):
        queue_email(MAIL | {"subject": f"For {org}"}, job_id=f"{org}:m{number}", **whose).wait(30)
    hook = {
        "url": "http://nowhere.invalid/",
        "payload": {"of": org},
        "secret": f"hush-{org}",
        "eventType": "a.b",
    }
    with contextlib.suppress(JobFailed):
        queue_webhook(hook, attempts=1, **whose).wait(30)
    queue_email(MAIL, delay=9999, **whose)
    runtime().writer.pause("reports")
    queue_report({"type": "audits"}, **whose)
    log = FileLog(home, "redis")
    for actor, job_id in (
        (Actor("cli", organization_id=org), f"{org}:m1"),
        (Actor("cli"), f"{org}:m2"),
    ):
        acts = Acts(runtime().redis, runtime().prefix, actor, log)
        assert not list(acts.many("retry", "email", [(job_id, "")]))[-1].done
    removed = queue_report({"type": "incidents"}, **whose)
    runtime().writer.remove("reports", removed.id)
    stats = runtime().reader.stats
    wait_until(lambda: stats(["email"], org)[0].completed == 4, 30, "the mails")
    return {"jobs": sum(one.public()["total"] for one in stats(runtime_queues(), org))}


def runtime_queues() -> list[str]:
    return list(huey_config.QUEUES)


def total(org: str) -> int:
    found = runtime().reader.stats(runtime_queues(), org)
    return sum(getattr(one, state.value) for one in found for state in State)


def in_redis(client: redis.Redis, text: bytes) -> list[str]:
    """The keys in whose name or value the text stands, read as what they are and raw."""
    found = []
    read: dict[Any, Any] = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"zset": lambda key: client.zrange(key, 0, -1),
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"stream": client.xrange,
    }
    client.config_set("rdbcompression", "no")
    for key in client.scan_iter(count=500):
        kind: Any = client.type(key)
        if kind == b"none":
            continue  # its time was over
        value = read[kind](key)
        if any(text in part for part in (key, _bytes(value), client.dump(key) or b"")):
            found.append(key.decode())
    return sorted(found)


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, dict):
        return b"\n".join(_bytes(part) for pair in value.items() for part in pair)
    if isinstance(value, list | set | tuple):
        return b"\n".join(_bytes(part) for part in value)
    return b""


def in_files(folder: Path, text: bytes) -> list[tuple[str, int]]:
    """The files that hold the text, in name or content, and how often."""
    found = []
    for path in sorted(folder.rglob("*")):
        times = str(path.relative_to(folder)).encode().count(text)
        if path.is_file():
            times += path.read_bytes().count(text)
        if times:
            found.append((path.name, times))
    return found
