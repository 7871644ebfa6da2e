"""Mail: from a payload to the server's 250 reply, or to a file in the outbox.

::

    payload.py      the payload model of the email queue
    recipients.py   the types of its address fields
    described.py    JSON schemas of its fields for forms and the OpenAPI document
    address.py      parsing, checking and masking one address
    text.py         characters allowed in a line and in a body
    headers.py      encoding header values so that none can inject a header
    render.py       the named templates; text in a payload is never rendered
    plaintext.py    a plain-text part for a mail that has only HTML
    attachments.py  loading artifacts by id
    message.py      the MIME message and its envelope
    server.py       parsing SMTP_URL
    channel.py      a socket with one total deadline
    session.py      one SMTP conversation
    smtp.py         delivery: recipients accepted, refused, or retried later
    outbox.py       `.eml` files when no server is configured
    send.py         all of it in one call

Import `EmailPayload` from `hsejobs.services.mail.payload`: code that only
sends mail does not load pydantic.
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
