"""Mail: from a payload to a server's 250, or to a file in the outbox.

::

    payload.py      what a job may ask for (the only module with pydantic)
    address.py      one address: its checks, its parts, its mask
    text.py         what may stand in a line, what in a body
    headers.py      header text that no value can break out of
    render.py       the named templates; given text is never rendered
    plaintext.py    a readable text for a mail that came as HTML alone
    attachments.py  artifacts by reference
    message.py      the MIME message and its envelope
    server.py       SMTP_URL
    channel.py      a socket that no slow peer can hold past a deadline
    session.py      one SMTP conversation
    smtp.py         delivery: who got it, who is refused, who is tried again
    outbox.py       `.eml` files where there is no server
    send.py         all of it, in one call

`EmailPayload` is imported from `hsejobs.services.mail.payload`, so that
whoever only sends does not load pydantic.
"""

from hsejobs.services.mail.address import mask_address
from hsejobs.services.mail.errors import (
    MailDeadline,
    MailRefusedForNow,
    MailServerUnavailable,
    OutboxUnwritable,
)
from hsejobs.services.mail.message import Envelope, build_envelope, build_message
from hsejobs.services.mail.outbox import write_outbox
from hsejobs.services.mail.send import send_mail
from hsejobs.services.mail.smtp import Receipt, deliver

__all__ = [
    "Envelope",
    "MailDeadline",
    "MailRefusedForNow",
    "MailServerUnavailable",
    "OutboxUnwritable",
    "Receipt",
    "build_envelope",
    "build_message",
    "deliver",
    "mask_address",
    "send_mail",
    "write_outbox",
]
