"""JSON schemas of mail addresses and mails, for forms and the OpenAPI document.

`parse_address` and the payload model decide what is valid. The document describes ASCII
addresses with an optional ASCII name; more is accepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hsejobs.described import Described, Schema
from hsejobs.services.fields import HOST, IN_LINE, line
from hsejobs.services.mail.message import MAX_SUBJECT_CHARS
from hsejobs.services.mail.render import Variables

_ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
#: At most 64 characters, for any number of dots.
_LOCAL = (
    f"(?:{_ATOM}{{1,64}}|{_ATOM}{{1,32}}[.]{_ATOM}{{1,31}}"
    f"|{_ATOM}{{1,16}}(?:[.]{_ATOM}{{1,15}}){{0,3}}|{_ATOM}{{1,8}}(?:[.]{_ATOM}{{1,7}}){{0,7}})"
)
_NAME = "[A-Za-z][A-Za-z0-9 .'_-]{0,98}"


def _address(host: str = HOST, *, named: bool = True) -> Schema:
    spec = f"{_LOCAL}@{host}"
    pattern = f"^(?:{spec}|{_NAME} <{spec}>)$" if named else f"^{spec}$"
    return {"type": "string", "pattern": pattern}


#: A form only requires an @; the model checks the rest.
ADDRESS = Described(
    _address(),
    pattern="@",
    description="a mail address: user@example.com or A Name <user@example.com>",
)
ADDRESSES = Described(
    _address(),
    pattern="@",
    description="a mail address: user@example.com or A Name <user@example.com>; separate several"
    " with commas",
)
BARE_ADDRESS = Described(
    _address(named=False), pattern="@", description="a mail address: user@example.com"
)


def _unbounded(listed: Schema) -> Schema:
    return {name: value for name, value in listed.items() if name != "maxItems"}


#: JSON Schema cannot express that the three lists may have 50 recipients together.
SEVERAL = Described(
    _unbounded, description="mail addresses; at most 50 recipients in to, cc and bcc together"
)
_SHOWN_NAME: Schema = {"type": "string", "pattern": f"^{IN_LINE}{{0,190}}$"}
SHOWN_NAME = Described(_SHOWN_NAME)
_SUBJECT: Schema = {**line(), "maxLength": MAX_SUBJECT_CHARS}
SUBJECT = Described(_SUBJECT)
FILENAME = Described({"type": "string", "pattern": f"^{IN_LINE}{{1,150}}$"})
#: A variable in a template's subject: one line of text, or another type that `in_subject` allows.
#: Other variables may have any value.
_IN_SUBJECT: Schema = {
    "type": ["string", "number", "boolean", "null"],
    "pattern": f"^{IN_LINE}{{0,200}}$",
}


def in_subject(value: object) -> bool:
    """Return whether a value's type is allowed in a template's subject.

    Lists and objects are not: JSON Schema cannot limit the length of the text they render to.
    """
    return value is None or isinstance(value, str | int | float)


#: An artifact's id, described narrowly: clients that generate payloads from the document should
#: not generate ids by chance, as an id without a file is refused.
ARTIFACT_ID = Described(
    {"type": "string", "pattern": r"^(?!.{0,31}[^0-9a-f])(?!.*(.)\1{11})[A-Za-z0-9_-]{32}$"},
    description="the id of a file that the caller may load",
)


def sender_field(domains: Iterable[str]) -> Schema:
    """Return the schema of ``from``: an address in one of the allowed ``domains``."""
    hosts = "|".join(domain.replace(".", "[.]") for domain in domains)
    if not hosts:
        return {"type": "null", "description": "must not be given: SMTP_FROM is not set"}
    mailbox = {
        "type": "object",
        "required": ["address"],
        "additionalProperties": False,
        "properties": {
            "name": {"anyOf": [_SHOWN_NAME, {"type": "null"}]},
            "address": _address(f"(?:{hosts})", named=False),
        },
    }
    return {
        "anyOf": [_address(f"(?:{hosts})"), mailbox, {"type": "null"}],
        "description": "a sender in one of the domains of SMTP_FROM_ALLOWED",
    }


def mail_rules(templates: Mapping[str, Variables]) -> list[Schema]:
    """Return a schema for each form of a mail: html, text, or a template with its variables."""
    nothing: Schema = {"type": ["string", "null"], "maxLength": 0}
    own = [
        {
            "title": f"with {body}",
            "required": ["subject", body],
            "properties": {
                "subject": _SUBJECT,
                body: {"type": "string", "minLength": 1},
                "template": {"type": "null"},
                "context": {"type": "object", "maxProperties": 0},
            },
        }
        for body in ("html", "text")
    ]
    return own + [
        {
            "title": f"with the template {name}",
            "required": ["template", "context"] if known.needed else ["template"],
            "properties": {
                "template": {"const": name},
                "html": nothing,
                "text": nothing,
                "context": {
                    "type": "object",
                    "required": [*known.needed],
                    "properties": {
                        one: _IN_SUBJECT if one in known.subject else {}
                        for one in (*known.needed, *known.possible)
                    },
                    "additionalProperties": True,
                },
            },
        }
        for name, known in templates.items()
    ]


#: The form's rule for a mail: at least one of the three must be present.
ANY_CONTENT: Any = {"anyOf": [{"required": [name]} for name in ("html", "text", "template")]}
