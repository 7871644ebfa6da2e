"""The errors of a webhook call.

::

    JobsError
    ├── WebhookRejected      the endpoint answered something other than 2xx
    ├── WebhookUnreachable   no name, no connection, no TLS, or no HTTP on it
    ├── WebhookDeadline      the deadline passed
    ├── AddressRefused       the endpoint's name resolves to an address that must not be called
    └── Unrecoverable
        ├── WebhookGone      410: the endpoint accepts no more calls
        └── HostRefused      the URL's host is such an address
"""

from __future__ import annotations

from hsejobs.errors import JobsError, Unrecoverable


class WebhookRejected(JobsError):
    """The endpoint answered other than 2xx; ``retry_after``: the delay it requested, in seconds."""

    code = "webhook_rejected"

    def __init__(self, message: str, status: int, retry_after: float | None = None) -> None:
        self.status = status
        self.retry_after = retry_after
        super().__init__(message)


class WebhookUnreachable(JobsError):
    """The endpoint could not be reached, or its response was not valid HTTP."""

    code = "webhook_unreachable"


class WebhookDeadline(JobsError):
    """The response was not complete at the deadline; the endpoint may have processed the call."""

    code = "timeout"


class AddressRefused(JobsError):
    """The endpoint's name resolves to a private, local or otherwise reserved address."""

    code = "address_refused"


class WebhookGone(Unrecoverable):
    """The endpoint answered 410 Gone."""

    code = "webhook_gone"


class HostRefused(Unrecoverable):
    """The URL's host is a private, local or otherwise reserved address."""

    code = "address_refused"
