"""What the jobs of a measurement carry, and how far Redis is from those who add and work them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: Seconds of the round trip over the link ``1ms``.
ROUND_TRIP = 0.001
LINKS = ("tcp", "unix", "1ms")

#: A mail of about 330 bytes as compact JSON, including the numbers that the adders insert.
MAIL: dict[str, Any] = {
    "i": 0,
    "t": 0,
    "to": "user@example.com",
    "subject": "Welcome to the team, and thank you for signing up",
    "template": "welcome",
    "context": {"name": "Ann Example", "plan": "standard", "locale": "en", "trialDays": 30},
    "text": "We are glad to have you. Your account is ready, and this is how to begin with it. "
    "Answer this mail if you need us.",
}


@dataclass(frozen=True)
class Case:
    """One condition of a measurement; every contestant has the same.

    ``link``: TCP on loopback, a unix socket, or TCP through a proxy that is 1 ms away.
    ``secret``: the payload has a field that hsejobs takes for a secret. ``tenant``: the
    jobs belong to an organization; peers, which have none, carry its name in the payload.
    """

    name: str
    link: str = "tcp"
    secret: bool = False
    tenant: str | None = None

    @property
    def payload(self) -> dict[str, Any]:
        """The template of every job's payload."""
        if not self.secret:
            return MAIL
        return {**MAIL, "context": {**MAIL["context"], "token": "e7c1-4f0a-93bd"}}


CASES = {
    case.name: case
    for case in (
        Case("tcp"),
        Case("unix", link="unix"),
        Case("1ms", link="1ms"),
        Case("secret", secret=True),
        Case("tenant", tenant="org-1"),
    )
}
