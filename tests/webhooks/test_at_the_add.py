"""A call that no attempt could make is refused at the add; jobs that are already stored still run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hsejobs.engine.runtime import reset_runtime
from hsejobs.errors import InvalidPayload
from hsejobs.services.webhooks.signing import headers, standard_key
from tasks import fan_out, queue_email, queue_webhook
from tasks.webhooks import deliver_webhook
from tests.webhooks.test_fan_out import hooks as hooks  # the fixture itself

CALL: dict[str, Any] = {"url": "https://a.example/hook", "payload": {"a": 1}, "eventType": "a.b"}
MAIL: dict[str, Any] = {"to": "ann@example.com", "subject": "Hi", "text": "there"}
PRIVATE = [
    "http://127.0.0.1/",
    "http://10.1.2.3:8080/x",
    "http://[::1]/",
    "http://[fe80::1]/",
    "http://169.254.169.254/latest",
    "http://[::ffff:10.0.0.1]/",
    "http://0.0.0.0/",
    "http://\uff11\uff10.0.0.1/",
    "http://localhost:9/",
    "http://a.localhost/",
]


@pytest.fixture
def public(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WEBHOOK_ALLOW_PRIVATE")
    reset_runtime()


def refused(payload: dict[str, Any], add: Any = queue_webhook) -> str:
    with pytest.raises(InvalidPayload) as caught:
        add(payload)
    (problem,) = caught.value.problems
    return problem[0]


@pytest.mark.parametrize("url", PRIVATE)
def test_an_address_that_is_not_public(public: None, url: str) -> None:
    assert refused(CALL | {"url": url}) == "url"


def test_private_networks_are_allowed_by_the_setting(fresh: None) -> None:
    assert queue_webhook(CALL | {"url": PRIVATE[0]}).created


@pytest.mark.parametrize("secret", ["whsec_", "whsec_not base64!", "whsec_grüße", "whsec_a"])
def test_a_secret_that_is_not_base64(public: None, secret: str) -> None:
    assert refused(CALL | {"secret": secret}) == "secret"


@pytest.mark.parametrize(
    "secret", ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_YQ", "not base64!"]
)
def test_valid_secrets_are_accepted(public: None, secret: str) -> None:
    assert queue_webhook(CALL | {"secret": secret}).created


def test_what_an_older_release_added_still_runs(public: None) -> None:
    old = CALL | {"url": PRIVATE[0], "secret": "whsec_not base64!"}
    assert deliver_webhook.model_of(old).secret == "whsec_not base64!"
    assert standard_key("whsec_not base64!") == b"whsec_not base64!"
    signed = headers(message="m", event="a", timestamp=1, body=b"{}", secret="whsec_not base64!")
    assert "webhook-signature" in signed


def test_an_invalid_subscription_does_not_affect_the_others(
    hooks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hsejobs.engine.runtime import runtime
    from tasks.shared.platform.database import database
    from tasks.shared.platform.schema import WEBHOOKS

    monkeypatch.delenv("WEBHOOK_ALLOW_PRIVATE")
    reset_runtime()
    with database(None, runtime().settings.jobs_home).begin() as connection:
        for name, change in (
            ("a", {"url": PRIVATE[0]}),
            ("e", {"secret": "whsec_!", "url": "https://e.example"}),
        ):
            connection.execute(
                WEBHOOKS.update()
                .where(WEBHOOKS.c.organization_id == "org-1", WEBHOOKS.c.id == name)
                .values(**change)
            )
    (job,) = fan_out("org-1", "incident.created", {})
    assert job.refresh().data["url"] == "https://b.example/hook"


@pytest.mark.parametrize(
    "settings",
    [
        {"SMTP_FROM": "noreply@hse.digital"},
        {"SMTP_FROM_ALLOWED": "hse.digital"},
        {"SMTP_FROM": "a@other.example", "SMTP_FROM_ALLOWED": "other.example, hse.digital"},
    ],
)
def test_a_sender_of_a_foreign_domain(
    fresh: None, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    reset_runtime()
    assert refused(MAIL | {"from": "x@evil.example"}, queue_email) == "from"
    named = {"name": "HSE", "address": "x@sub.hse.digital"}
    assert refused(MAIL | {"from": named}, queue_email) == "from"
    assert queue_email(MAIL | {"from": "HSE <x@HSE.digital>"}).created


def test_a_program_that_knows_no_mail_server_leaves_the_sender_to_the_worker(fresh: None) -> None:
    assert queue_email(MAIL | {"from": "x@evil.example"}).created


def test_an_embedded_redis_checks_the_sender(
    fresh: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from tasks.email import send_email

    for url in (None, f"unix://{tmp_path}/redis.sock?db=0"):
        if url is None:
            monkeypatch.delenv("QUEUE_REDIS_URL")
        else:
            # As `hsejobs up` has it for what it starts.
            monkeypatch.setenv("QUEUE_REDIS_URL", url)
        reset_runtime()
        assert refused(MAIL | {"from": "x@evil.example"}, send_email.data_of) == "from"
    assert send_email.data_of(MAIL | {"from": "x@hse.digital"})["from"] == "x@hse.digital"


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("subject", {"subject": "x" * 999}),
        ("subject", {"subject": "   "}),
        (
            "subject",
            {"subject": None, "text": None, "template": "welcome", "context": {"name": "x" * 999}},
        ),
        ("attachments.0.artifactId", {"attachments": [{"artifactId": "../x"}]}),
        ("attachments.0.artifactId", {"attachments": [{"artifactId": ""}]}),
        ("attachments.0", {"attachments": ["x"]}),
        ("attachments", {"attachments": [{"artifactId": "x"}] * 21}),
    ],
)
def test_a_mail_that_no_attempt_could_send(fresh: None, field: str, change: dict[str, Any]) -> None:
    assert refused(MAIL | change, queue_email) == field


def test_a_call_is_limited_by_host_and_organization(public: None) -> None:
    assert deliver_webhook.key_limit is not None
    assert deliver_webhook.key_limit.limit == 2
    for call, organization, key in (
        (CALL, None, "a.example -"),
        (
            CALL | {"url": "HTTPS://A.example:8443/b?c", "secret": "s" * 30},
            "org-1",
            "a.example org-1",
        ),
    ):
        assert deliver_webhook.key_of(call, "", organization) == key
