"""The mail server's circuit: connection errors and 421 open it, replies about one mail do not."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest

from hsejobs.engine import JobFailed
from hsejobs.store.circuits import Circuits
from tasks import queue_email
from tests.services.conftest import mail_server as mail_server  # the fixture itself
from tests.support import wait_until
from tests.webhooks.conftest import Consumer

Start = Callable[..., Consumer]
FAST = {"OPEN_MS": 500, "LONGEST_MS": 1000, "TRIAL_SECONDS": 0.1, "HELD_SECONDS": 0.2}


def mail(**options: Any) -> Any:
    return queue_email({"to": "ann@example.com", "subject": "Hi", "text": "there"}, **options)


def settings(url: str) -> dict[str, str]:
    return {
        "SMTP_URL": url,
        "SMTP_FROM": "noreply@hse.digital",
        "TRIAL_BREAKER": json.dumps(FAST),
    }


def test_a_recipients_450_does_not_count(
    consumer: Start, circuits: Circuits, mail_server: Callable[..., Any]
) -> None:
    inbox = mail_server()
    inbox.replies["ann@example.com"] = "450 later"
    consumer("-w", "1", queue="email", **settings(inbox.url))
    for job in [mail(attempts=1) for _ in range(7)]:
        with pytest.raises(JobFailed, match="450"):
            job.wait(30)
    assert circuits.all() == []


@pytest.mark.parametrize("verb", ["MAIL", "ann@example.com"])
def test_421_opens_it_and_a_good_mail_closes_it(
    consumer: Start, circuits: Circuits, mail_server: Callable[..., Any], verb: str
) -> None:
    inbox = mail_server()
    inbox.replies[verb] = "421 going away"
    consumer("-w", "2", queue="email", **settings(inbox.url))
    jobs = [mail(attempts=20, backoff=0.05) for _ in range(8)]
    [name] = [f"smtp:{inbox.url.removeprefix('smtp://')}"]
    wait_until(lambda: [one.state for one in circuits.all()] == ["open"], 20, "the opening")
    one = circuits.get(name)
    assert one.organization_id is None
    assert one.last_error == "the mail server closed the connection (421)"
    inbox.replies.clear()
    for job in jobs:
        assert job.wait(30)["via"] == "smtp"
    assert circuits.get(name).state == "closed"
    assert len(inbox.mails) == 8


def test_no_connection_opens_it(consumer: Start, circuits: Circuits) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    consumer("-w", "2", queue="email", **settings(f"smtp://127.0.0.1:{port}"))
    jobs = [mail(attempts=1) for _ in range(5)]
    for job in jobs:
        with pytest.raises(JobFailed, match="not available"):
            job.wait(30)
    assert circuits.get(f"smtp:127.0.0.1:{port}").failures == 5


def test_a_short_timeout_does_not_count(consumer: Start, circuits: Circuits) -> None:
    """How long a job may take is a tenant's choice; all tenants share the mail server."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"smtp://127.0.0.1:{silent.getsockname()[1]}"
        consumer("-w", "2", queue="email", **settings(url))
        # A second of it is kept for the end: what is left must suffice for a first mail on a busy machine.
        for job in [mail(attempts=1, timeout=2) for _ in range(6)]:
            with pytest.raises(JobFailed, match="too long"):
                job.wait(30)
        assert circuits.all() == []
