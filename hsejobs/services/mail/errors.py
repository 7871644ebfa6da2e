"""Temporary failures of mail; permanent ones are `Unrecoverable`.

::

    JobsError
    ├── MailRefusedForNow       the server answered 4xx
    ├── MailServerUnavailable   no connection, a lost one, or no SMTP on it
    ├── MailDeadline            the deadline passed
    └── OutboxUnwritable        no server is configured, and the outbox cannot be written
"""

from __future__ import annotations

from hsejobs.errors import JobsError


class MailRefusedForNow(JobsError):
    """The server answered 4xx: it may accept the same mail later.

    ``closing`` is true for 421: the server closes the connection and serves no client now.
    """

    code = "smtp_temporary"

    def __init__(self, message: str, *, closing: bool = False) -> None:
        self.closing = closing
        super().__init__(message)


class MailServerUnavailable(JobsError):
    """The connection was refused or lost, or the peer does not speak SMTP.

    ``ambiguous`` is true if the whole mail was sent and only the reply is
    missing: the server may have accepted it, and another attempt may send it
    a second time.
    """

    code = "smtp_unavailable"

    def __init__(self, message: str, *, ambiguous: bool = False) -> None:
        self.ambiguous = ambiguous
        super().__init__(message)


class MailDeadline(JobsError):
    """The delivery did not finish before its deadline; ``ambiguous``: see `MailServerUnavailable`."""

    code = "timeout"

    def __init__(self, message: str, *, ambiguous: bool = False) -> None:
        self.ambiguous = ambiguous
        super().__init__(message)


class OutboxUnwritable(JobsError):
    """The outbox folder or the file in it cannot be written."""

    code = "outbox_unwritable"
