"""The channels for alerts: the operator's webhook and mail addresses."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from typing import Any

from hsejobs.extras import importing
from hsejobs.settings import Settings
from hsejobs.watch.alerts import AlertChannel

#: The time limit for sending one message, in seconds.
SECONDS = 15.0
EVENT = "hsejobs.alert"


def channels(settings: Settings) -> list[AlertChannel]:
    """Return the channels that are configured; empty if there are none."""
    found: list[AlertChannel] = []
    if settings.alert_webhook_url is not None:
        found.append(WebhookChannel(settings, settings.alert_webhook_url))
    if settings.alert_mail_to:
        found.append(MailChannel(settings))
    return found


def line(alert: dict[str, Any]) -> str:
    """Return an alert as one human-readable line."""
    place = f"queue {alert['queue']}" if alert["queue"] else "the installation"
    head = f"{alert['state'].upper()} {alert['rule']}, {place}: {alert['message']}"
    if alert["state"] == "off":
        return f"{head} (on since {alert['since']}, off since {alert['ended']})"
    return f"{head} (limit {alert['limit']:g}, since {alert['since']})"


def _key(settings: Settings, alerts: Sequence[dict[str, Any]]) -> str:
    named = [(a["rule"], a["queue"], a["state"], a["since"], a["ended"]) for a in alerts]
    text = json.dumps([settings.redis_prefix, named])
    return f"{settings.redis_prefix}/alerts/{hashlib.sha256(text.encode()).hexdigest()[:32]}"


class WebhookChannel:
    """Posts ``{"event", "text", "alerts"}``, signed like every webhook if there is a secret."""

    name = "webhook"

    def __init__(self, settings: Settings, url: str) -> None:
        self.settings, self.url = settings, url

    def send(self, alerts: Sequence[dict[str, Any]]) -> None:
        """Post the alerts. Raises the errors of the webhooks' ``post`` and ``judge``."""
        from hsejobs.services.webhooks import signing
        from hsejobs.services.webhooks.address import parse_url

        with importing():
            from hsejobs.services.webhooks.deliver import judge, post

        settings, secret = self.settings, self.settings.alert_webhook_secret
        message = {"event": EVENT, "text": "\n".join(map(line, alerts)), "alerts": list(alerts)}
        body = json.dumps(message, ensure_ascii=False).encode("utf-8", "replace")
        headers = signing.headers(
            message=signing.message_id(_key(settings, alerts)),
            event=EVENT,
            timestamp=int(time.time()),
            body=body,
            secret=secret,
        )
        answer = post(
            parse_url(self.url),
            headers,
            body,
            deadline=time.monotonic() + SECONDS,
            allow_private=settings.webhook_allow_private,
            secret=secret,
        )
        judge(answer)


class MailChannel:
    """Sends one mail by SMTP_URL, or writes it to the outbox if that is not set."""

    name = "mail"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        #: Keys of recipients that have a mail which must be sent again to others.
        self._delivered: set[str] = set()

    def send(self, alerts: Sequence[dict[str, Any]]) -> None:
        """Send the alerts. Raises the errors of ``send_mail``."""
        from hsejobs.errors import ArtifactNotFound
        from hsejobs.services.mail.payload import EmailPayload
        from hsejobs.services.mail.send import send_mail

        def no_artifacts(_: str) -> Any:
            raise ArtifactNotFound("an alert has no artifacts")

        settings = self.settings
        on = sum(one["state"] == "on" for one in alerts)
        names = ", ".join(dict.fromkeys(one["rule"] for one in alerts))
        subject = f"[{settings.redis_prefix}] {'ALERT' if on else 'over'}: {names}"
        mail = EmailPayload(
            to=list(settings.alert_mail_to), subject=subject, text="\n".join(map(line, alerts))
        )
        send_mail(
            mail,
            job_key=_key(settings, alerts),
            smtp_url=settings.smtp_url,
            smtp_from=settings.smtp_from,
            smtp_from_allowed=settings.smtp_from_allowed,
            home=settings.jobs_home,
            already=self._delivered.__contains__,
            accepted=self._delivered.add,
            open_artifact=no_artifacts,
            deadline=time.monotonic() + SECONDS,
        )
        self._delivered.clear()
