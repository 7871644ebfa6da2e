"""The headers that identify and sign a call: its id, event, time and signatures.

Two families are sent together. ``X-Webhook-*`` is the platform's own: lower-case hex
of HMAC-SHA256 over ``timestamp + "." + body`` with the secret's text as the key.
``webhook-*`` is Standard Webhooks (https://www.standardwebhooks.com): base64 over
``id + "." + timestamp + "." + body``, with the key that ``whsec_`` secrets hold in base64.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re

from hsejobs.errors import InvalidPayload

PREFIX = "whsec_"
#: An event's name is sent in a header: printable ASCII without surrounding spaces.
EVENT = r"^[!-~](?:[ -~]{0,198}[!-~])?$"
_EVENT = re.compile(EVENT[:-1] + r"\Z")


def message_id(job_key: str) -> str:
    """Return the id of a call, the same in every attempt: a hash that contains no tenant's text."""
    return "msg_" + hashlib.sha256(job_key.encode()).hexdigest()[:32]


def headers(
    *, message: str, event: str, timestamp: int, body: bytes, secret: str | None
) -> dict[str, str]:
    """Return the headers of one attempt; ``timestamp`` in Unix seconds. No secret: no signatures.

    Raises ValueError for an event that is not valid in a header.
    """
    if _EVENT.match(event) is None:
        raise ValueError("the event is not printable ASCII")
    found = {
        "X-Webhook-Id": message,
        "X-Webhook-Event": event,
        "X-Webhook-Timestamp": str(timestamp),
        "webhook-id": message,
        "webhook-timestamp": str(timestamp),
    }
    if secret is not None:
        own = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256)
        signed = f"{message}.{timestamp}.".encode() + body
        standard = hmac.new(standard_key(secret), signed, hashlib.sha256).digest()
        found["X-Webhook-Signature"] = own.hexdigest()
        found["webhook-signature"] = "v1," + base64.b64encode(standard).decode()
    return found


def standard_key(secret: str) -> bytes:
    """Return the Standard Webhooks key: base64 after ``whsec_``, otherwise the text itself.

    Also the text for a ``whsec_`` secret that is not base64: an older release may have added
    the job; ``check_secret`` refuses new ones.
    """
    return _decoded(secret) or secret.encode()


def check_secret(secret: str) -> None:
    """Raise InvalidPayload for a ``whsec_`` secret that is not base64: no endpoint has its key."""
    if secret.startswith(PREFIX) and not _decoded(secret):
        raise InvalidPayload("secret", f"must be base64 after {PREFIX}, or must not begin with it")


def _decoded(secret: str) -> bytes:
    """Return the key of a ``whsec_`` secret; empty for other secrets and invalid base64."""
    if not secret.startswith(PREFIX):
        return b""
    text = secret.removeprefix(PREFIX)
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""
