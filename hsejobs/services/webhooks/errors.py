"""How a call can fail.

::

    JobsError
    ├── WebhookRejected      the receiver answered something other than 2xx
    ├── WebhookUnreachable   no name, no connection, no TLS, or no HTTP on it
    ├── WebhookDeadline      the time was used up
    ├── AddressRefused       its name leads to an address that must not be called
    └── Unrecoverable
        ├── WebhookGone      410: the receiver wants no more
        └── HostRefused      the URL itself has such an address
"""

from __future__ import annotations

from hsejobs.errors import JobsError, Unrecoverable


class WebhookRejected(JobsError):
    """An answer other than 2xx; ``retry_after`` as the receiver asked, in seconds."""

    code = "webhook_rejected"

    def __init__(self, message: str, status: int, retry_after: float | None = None) -> None:
        self.status = status
        self.retry_after = retry_after
        super().__init__(message)


class WebhookUnreachable(JobsError):
    """The receiver could not be asked, or its answer was no HTTP."""

    code = "webhook_unreachable"


class WebhookDeadline(JobsError):
    """No whole answer at the deadline; the receiver may have taken the call."""

    code = "timeout"


class AddressRefused(JobsError):
    """The receiver's name leads to a private, local or otherwise reserved address."""

    code = "address_refused"


class WebhookGone(Unrecoverable):
    """410 Gone."""

    code = "webhook_gone"


class HostRefused(Unrecoverable):
    """The URL's host is a private, local or otherwise reserved address."""

    code = "address_refused"
