"""The temporary failures of mail; a permanent one is `Unrecoverable`.

::

    JobsError
    ├── MailRefusedForNow       the server answered 4xx
    ├── MailServerUnavailable   no connection, a broken one, or nonsense on it
    ├── MailDeadline            the time was used up
    └── OutboxUnwritable        no server is set, and the file cannot be written
"""

from __future__ import annotations

from hsejobs.errors import JobsError


class MailRefusedForNow(JobsError):
    """The server answered 4xx: the same mail may be taken later.

    ``closing`` is true for 421, by which the server says that it serves nobody now.
    """

    code = "smtp_temporary"

    def __init__(self, message: str, *, closing: bool = False) -> None:
        self.closing = closing
        super().__init__(message)


class MailServerUnavailable(JobsError):
    """The connection was refused, broke, or carried no SMTP.

    ``ambiguous`` is true when the whole mail had been handed over and only the
    answer was missing: the server may have it, and another attempt may send it
    a second time.
    """

    code = "smtp_unavailable"

    def __init__(self, message: str, *, ambiguous: bool = False) -> None:
        self.ambiguous = ambiguous
        super().__init__(message)


class MailDeadline(JobsError):
    """The delivery had not ended at its deadline.

    ``ambiguous`` means what it means in `MailServerUnavailable`.
    """

    code = "timeout"

    def __init__(self, message: str, *, ambiguous: bool = False) -> None:
        self.ambiguous = ambiguous
        super().__init__(message)


class OutboxUnwritable(JobsError):
    """The outbox folder or the file in it cannot be written."""

    code = "outbox_unwritable"
