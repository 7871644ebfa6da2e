"""One call: the request, the answer's beginning, and what the answer means."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import httpcore
import httpx

from hsejobs import __version__
from hsejobs.masking import scrub
from hsejobs.services.webhooks.address import Endpoint
from hsejobs.services.webhooks.errors import (
    WebhookDeadline,
    WebhookGone,
    WebhookRejected,
    WebhookUnreachable,
)
from hsejobs.services.webhooks.transport import Clock, Transport

#: How long one attempt may take where the job sets no other limit, in seconds.
DELIVERY_SECONDS = 30.0
#: How much of an answer is kept, and how long it may take once its status is known, in seconds.
KEPT, BODY_SECONDS = 1024, 5.0
#: The longest wait that a receiver can ask for, in seconds.
LONGEST_RETRY_AFTER = 3600.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver said; ``body``: the first 1 KB, without the secret."""

    status: int
    duration_ms: int
    body: str
    address: str | None
    retry_after: float | None = None

    def public(self) -> dict[str, Any]:
        """The job's result."""
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
    """Sends the call and returns the answer, whatever its status is.

    ``deadline`` is a `time.monotonic()` value, ``party`` whose call it is. Raises WebhookUnreachable,
    WebhookDeadline, AddressRefused, HostRefused.
    """
    begun = time.monotonic()
    clock = Clock(deadline)
    sent = {
        "Content-Type": "application/json",
        "User-Agent": f"hsejobs/{__version__}",
        "Accept": "*/*",
        # Nothing is decoded: a small answer could become a large one.
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
        raise WebhookDeadline(f"the receiver gave no whole answer in {seconds:.1f} s") from None
    except httpcore.NetworkError as error:
        raise WebhookUnreachable(str(error)) from None
    except httpcore.ProtocolError as error:
        problem = f"the receiver's answer is no HTTP: {str(error)[:200]}"
        raise WebhookUnreachable(problem) from None


def judge(answer: Answer) -> dict[str, Any]:
    """The job's result for 2xx. Raises WebhookGone for 410, WebhookRejected for everything else."""
    status = answer.status
    if 200 <= status <= 299:
        return answer.public()
    said = f"the receiver answered {status} in {answer.duration_ms} ms"
    if 300 <= status <= 399:
        said += "; redirects are not followed: subscribe the URL that it leads to"
    if answer.body:
        said += f": {answer.body}"
    if status == 410:
        raise WebhookGone(said)
    raise WebhookRejected(said, status, answer.retry_after)


def verdict(status: int) -> str:
    """What an answer tells the circuit breaker: ``ok``, ``fail``, or ``none`` for nothing.

    A receiver that refuses call after call is left alone as one that is down: another call would
    only bother it. A 410 ends its own job, and says nothing of the host's other endpoints.
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
        # The status is the answer; its text is for people, and what came of it is kept.
        pass
    return kept


def _text(kept: bytes, headers: httpx.Headers, secret: str | None) -> str:
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity") and kept:
        return f"(its text is encoded as {coding[:20]!r} and was not read)"
    text = kept.decode("utf-8", "replace")
    # Cut after the scrubbing: half a secret would not be found.
    return (scrub(text, [secret]) if secret else text)[:KEPT]


def _retry_after(value: str | None) -> float | None:
    """Seconds from now, at most an hour; None for what is neither seconds nor a date."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), LONGEST_RETRY_AFTER)
    try:
        when = parsedate_to_datetime(value)
    except (TypeError, ValueError, OverflowError):
        # OverflowError: a year, an hour or a zone of twenty digits.
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    left = math.ceil(when.timestamp() - time.time())
    return min(max(0.0, left), LONGEST_RETRY_AFTER)
