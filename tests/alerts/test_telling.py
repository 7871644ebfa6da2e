"""Messages: once each, tried again, by webhook and by mail, from any process that watches."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import subprocess
import sys
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from hsejobs.services.alerts import channels
from hsejobs.settings import load_settings
from hsejobs.watch.alerts import CALM_LOOKS, TRIES
from tests.alerts.conftest import Scene
from tests.support import wait_until
from tests.webhooks.endpoints import Connection, ok, serving

ALERT = {
    "rule": "waiting",
    "queue": "email",
    "state": "on",
    "value": 101,
    "limit": 100,
    "message": "101 jobs wait",
    "since": "2026-01-01T00:00:00.000Z",
    "ended": None,
}


def overflow(scene: Scene) -> None:
    for n in range(101):
        scene.store.add(f"j{n}")


def test_each_change_is_sent_once_by_any_process(scene: Scene) -> None:
    overflow(scene)
    other = scene.watching()
    for watch in (scene.watch, other, scene.watch, other):
        watch.look()
    assert scene.channel.sent == [("waiting", "q", "on")]
    scene.store.writer.drain("q")
    for _ in range(CALM_LOOKS + 2):
        scene.watch.look()
        other.look()
    assert scene.channel.sent == [("waiting", "q", "on"), ("waiting", "q", "off")]
    other.redis.close()


def test_a_message_that_did_not_arrive_is_sent_by_the_next(scene: Scene) -> None:
    overflow(scene)
    scene.channel.broken = True
    scene.watch.look()
    scene.channel.broken = False
    other = scene.watching()
    other.look()
    other.redis.close()
    assert scene.channel.sent == [("waiting", "q", "on")]


def test_trying_ends(scene: Scene) -> None:
    overflow(scene)
    scene.channel.broken = True
    for _ in range(TRIES + 3):
        scene.watch.look()
    assert scene.channel.tried == TRIES
    scene.store.writer.drain("q")
    scene.channel.broken = False
    for _ in range(CALM_LOOKS):
        scene.watch.look()
    assert scene.channel.sent == [], "the end of an alert that was never sent is not sent"


def test_the_webhook_is_signed_and_its_address_checked(tmp_path: Path) -> None:
    with serving(ok) as endpoint:
        env = {
            "JOBS_ALERT_WEBHOOK_URL": endpoint.url(),
            "JOBS_ALERT_WEBHOOK_SECRET": "s3cret",
            "JOBS_HOME": str(tmp_path),
        }
        [refused] = channels(load_settings(env))
        with pytest.raises(Exception, match="not public"):
            refused.send([ALERT])
        assert endpoint.connections == 0
        [channel] = channels(load_settings({**env, "WEBHOOK_ALLOW_PRIVATE": "1"}))
        channel.send([ALERT])
    [request] = endpoint.requests
    body = json.loads(request.body)
    assert body["alerts"] == [ALERT]
    assert body["event"] == request.headers["x-webhook-event"] == "hsejobs.alert"
    assert body["text"].startswith("ON waiting, queue email: 101 jobs wait (limit 100, since 2026")
    signed = f"{request.headers['x-webhook-timestamp']}.".encode() + request.body
    assert (
        request.headers["x-webhook-signature"]
        == hmac.new(b"s3cret", signed, hashlib.sha256).hexdigest()
    )


def test_an_answer_without_success_is_an_error(tmp_path: Path) -> None:
    def busy(connection: Connection) -> None:
        connection.read()
        connection.answer("503 Busy")

    with serving(busy) as endpoint:
        env = {"JOBS_ALERT_WEBHOOK_URL": endpoint.url(), "WEBHOOK_ALLOW_PRIVATE": "1"}
        [channel] = channels(load_settings({**env, "JOBS_HOME": str(tmp_path)}))
        with pytest.raises(Exception, match="answered 503"):
            channel.send([ALERT])


def test_a_mail_to_everyone_named(tmp_path: Path) -> None:
    env = {"JOBS_ALERT_MAIL_TO": "ops@example.com, Ann <ann@example.com>"}
    [channel] = channels(load_settings({**env, "JOBS_HOME": str(tmp_path)}))
    channel.send(
        [
            ALERT,
            {
                **ALERT,
                "rule": "redis",
                "queue": None,
                "state": "off",
                "ended": "2026-01-01T00:01:00.000Z",
            },
        ]
    )
    [file] = (tmp_path / "outbox").glob("*.eml")
    mail = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert mail["Subject"] == "[hsejobs] ALERT: waiting, redis"
    assert "ops@example.com" in mail["To"]
    assert "ann@example.com" in mail["To"]
    lines = mail.get_content().splitlines()
    assert lines[0].startswith("ON waiting, queue email: 101 jobs wait")
    assert lines[1].startswith("OFF redis, the installation")


@pytest.mark.parametrize("words", [("worker", "cleanup"), ("serve",)])
def test_supervisors_and_shims_watch(
    words: tuple[str, ...], redis_url: str, tmp_path: Path
) -> None:
    from hsejobs.store import keys
    from tests.store.test_acts import Store

    store = Store(redis_url)
    store.redis.command("SADD", keys.queues("t"), "q")
    store.add("a")
    with serving(ok) as endpoint, (tmp_path / "log").open("wb") as log:
        env = {
            "QUEUE_REDIS_PREFIX": "t",
            "JOBS_ALERT_WEBHOOK_URL": endpoint.url(),
            "WEBHOOK_ALLOW_PRIVATE": "1",
            "JOBS_ALERT_WAITING": "0",
            "JOBS_HTTP_PORT": "0",
            "JOBS_JWT_SECRET": "x" * 32,
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "hsejobs_cli", *words],
            env={**os.environ, **env},
            stdout=log,
            stderr=log,
        )
        try:
            wait_until(lambda: endpoint.requests, 30, "the message")
            [told] = json.loads(endpoint.requests[0].body)["alerts"]
            assert (told["rule"], told["queue"], told["state"]) == ("waiting", "q", "on")
            listed = subprocess.run(
                [sys.executable, "-m", "hsejobs_cli", "alerts", "--json"],
                env={**os.environ, **env},
                capture_output=True,
                check=True,
                timeout=30,
            )
            [shown] = json.loads(listed.stdout)
            assert shown["rule"] == "waiting"
            assert list(shown) == [
                "rule",
                "queue",
                "state",
                "value",
                "limit",
                "message",
                "since",
                "ended",
            ]
        finally:
            process.terminate()
            assert process.wait(30) == 0
    store.redis.close()
    assert "alert_on" in (tmp_path / "log").read_text()
