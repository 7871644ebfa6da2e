"""One call: send the request, read the start of the response, and interpret it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import httpcore
import httpx

from hsejobs import __version__, tracing
from hsejobs.masking import scrub
from hsejobs.services.webhooks.address import Endpoint
from hsejobs.services.webhooks.errors import (
    WebhookDeadline,
    WebhookGone,
    WebhookRejected,
    WebhookUnreachable,
)
from hsejobs.services.webhooks.transport import Clock, Transport

#: The time limit of one attempt if the job sets none, in seconds.
DELIVERY_SECONDS = 30.0
#: How many bytes of a response body are kept, and how long reading it may take, in seconds.
KEPT, BODY_SECONDS = 1024, 5.0
#: The longest ``Retry-After`` that an endpoint can request, in seconds.
LONGEST_RETRY_AFTER = 3600.0


@dataclass(frozen=True, slots=True)
class Answer:
    """The endpoint's response; ``body``: its first 1 KB, with the secret masked."""

    status: int
    duration_ms: int
    body: str
    address: str | None
    retry_after: float | None = None

    def public(self) -> dict[str, Any]:
        """Return the response as the job's result."""
        return {
            "status": self.status,
            "durationMs": self.duration_ms,
            "body": self.body,
            "address": self.address,
        }


def post(
    target: Endpoint,
    headers: dict[str, str],
    body: bytes,
    *,
    deadline: float,
    allow_private: bool = False,
    secret: str | None = None,
    party: str = "",
) -> Answer:
    """Send the request and return the response, with any status.

    ``deadline`` is a `time.monotonic()` value; ``party`` is the organization that makes the call.
    Raises WebhookUnreachable, WebhookDeadline, AddressRefused, HostRefused.
    """
    begun = time.monotonic()
    clock = Clock(deadline)
    sent = {
        "Content-Type": "application/json",
        "User-Agent": f"hsejobs/{__version__}",
        "Accept": "*/*",
        # Responses are not decoded: a small one could become large.
        "Accept-Encoding": "identity",
        "Connection": "close",
        **headers,
    }
    transport = Transport(target, clock, allow_private=allow_private, party=party)
    url = httpx.URL(
        scheme=target.scheme, host=target.host, port=target.port, raw_path=target.path.encode()
    )
    try:
        with (
            tracing.calling("POST", http_request_method="POST"),
            httpx.Client(transport=transport, trust_env=False, follow_redirects=False) as client,
            client.stream("POST", url, headers=sent, content=body, timeout=None) as answer,
        ):
            clock.at_most(BODY_SECONDS)
            kept = _beginning(answer, KEPT + len((secret or "").encode()))
            return Answer(
                answer.status_code,
                round((time.monotonic() - begun) * 1000),
                _text(kept, answer.headers, secret),
                transport.address,
                _retry_after(answer.headers.get("retry-after")),
            )
    except httpcore.TimeoutException:
        seconds = time.monotonic() - begun
        raise WebhookDeadline(
            f"the endpoint did not complete its response within {seconds:.1f} s"
        ) from None
    except httpcore.NetworkError as error:
        raise WebhookUnreachable(str(error)) from None
    except httpcore.ProtocolError as error:
        problem = f"the endpoint's response is not valid HTTP: {str(error)[:200]}"
        raise WebhookUnreachable(problem) from None


def judge(answer: Answer) -> dict[str, Any]:
    """Return the job's result for 2xx. Raises WebhookGone for 410, WebhookRejected for any other."""
    status = answer.status
    if 200 <= status <= 299:
        return answer.public()
    message = f"the endpoint answered {status} in {answer.duration_ms} ms"
    if 300 <= status <= 399:
        message += "; redirects are not followed: register the URL that it redirects to"
    if answer.body:
        message += f": {answer.body}"
    if status == 410:
        raise WebhookGone(message)
    raise WebhookRejected(message, status, answer.retry_after)


def verdict(status: int) -> str:
    """Return the outcome for the circuit breaker: ``ok``, ``fail``, or ``none`` to count neither.

    An endpoint that refuses call after call is treated like one that is down: more calls would not
    help. A 410 ends its own job only and says nothing about the host's other endpoints.
    """
    if 200 <= status <= 299:
        return "ok"
    return "none" if status == 410 else "fail"


def _beginning(answer: httpx.Response, limit: int) -> bytes:
    kept = b""
    try:
        for chunk in answer.iter_raw():
            kept += chunk[: limit - len(kept)]
            if len(kept) >= limit:
                break
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        # The status decides; the body is only informative, so keep what arrived.
        pass
    return kept


def _text(kept: bytes, headers: httpx.Headers, secret: str | None) -> str:
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity") and kept:
        return f"(the body has the content encoding {coding[:20]!r} and was not read)"
    text = kept.decode("utf-8", "replace")
    # Truncate after scrubbing: a truncated secret would not be found.
    return (scrub(text, [secret]) if secret else text)[:KEPT]


def _retry_after(value: str | None) -> float | None:
    """Return seconds from now, at most an hour; None if the value is neither seconds nor a date."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), LONGEST_RETRY_AFTER)
    try:
        when = parsedate_to_datetime(value)
    except (TypeError, ValueError, OverflowError):
        # OverflowError: a year, an hour or a zone with twenty digits.
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    left = math.ceil(when.timestamp() - time.time())
    return min(max(0.0, left), LONGEST_RETRY_AFTER)
