"""What forms and the OpenAPI document say of mail addresses, and of mails as a whole.

`parse_address` and the payload's model have the last word. The document describes addresses in
ASCII, and a name of ASCII letters before one; more is accepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hsejobs.described import Described, Schema
from hsejobs.services.fields import HOST, IN_LINE, line
from hsejobs.services.mail.message import MAX_SUBJECT_CHARS
from hsejobs.services.mail.render import Variables

_ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
#: At most 64 characters, however many dots are in it.
_LOCAL = (
    f"(?:{_ATOM}{{1,64}}|{_ATOM}{{1,32}}[.]{_ATOM}{{1,31}}"
    f"|{_ATOM}{{1,16}}(?:[.]{_ATOM}{{1,15}}){{0,3}}|{_ATOM}{{1,8}}(?:[.]{_ATOM}{{1,7}}){{0,7}})"
)
_NAME = "[A-Za-z][A-Za-z0-9 .'_-]{0,98}"


def _address(host: str = HOST, *, named: bool = True) -> Schema:
    spec = f"{_LOCAL}@{host}"
    pattern = f"^(?:{spec}|{_NAME} <{spec}>)$" if named else f"^{spec}$"
    return {"type": "string", "pattern": pattern}


#: A form asks for no more than an @: what may stand around it is the model's matter.
ADDRESS = Described(
    _address(),
    pattern="@",
    description="a mail address: user@example.com or A Name <user@example.com>",
)
ADDRESSES = Described(
    _address(),
    pattern="@",
    description="a mail address: user@example.com or A Name <user@example.com>; several with commas"
    " between",
)
BARE_ADDRESS = Described(
    _address(named=False), pattern="@", description="a mail address: user@example.com"
)


def _unbounded(listed: Schema) -> Schema:
    return {name: value for name, value in listed.items() if name != "maxItems"}


#: That the three lists have 50 receivers together, JSON Schema cannot say.
SEVERAL = Described(
    _unbounded, description="mail addresses; at most 50 receivers with those of to, cc and bcc"
)
_SHOWN_NAME: Schema = {"type": "string", "pattern": f"^{IN_LINE}{{0,190}}$"}
SHOWN_NAME = Described(_SHOWN_NAME)
_SUBJECT: Schema = {**line(), "maxLength": MAX_SUBJECT_CHARS}
SUBJECT = Described(_SUBJECT)
FILENAME = Described({"type": "string", "pattern": f"^{IN_LINE}{{1,150}}$"})
#: What a variable in a template's subject may be: text, if of one line, and what `in_subject` takes.
#: Another variable may be anything.
_IN_SUBJECT: Schema = {
    "type": ["string", "number", "boolean", "null"],
    "pattern": f"^{IN_LINE}{{0,200}}$",
}


def in_subject(value: object) -> bool:
    """Whether a value is of a type that may stand in a template's subject.

    A list or object is written out there: of what size it may be, JSON Schema cannot say.
    """
    return value is None or isinstance(value, str | int | float)


#: An artifact's id, by what it has none of: no other characters, and not one of them over and over.
#: So narrow that nobody happens to make one, as the id of no file is refused.
ARTIFACT_ID = Described(
    {"type": "string", "pattern": r"^(?!.{0,31}[^0-9a-f])(?!.*(.)\1{11})[A-Za-z0-9_-]{32}$"},
    description="the id of a file that the caller may load",
)


def sender_field(domains: Iterable[str]) -> Schema:
    """``from``: of a domain that the settings allow."""
    hosts = "|".join(domain.replace(".", "[.]") for domain in domains)
    if not hosts:
        return {"type": "null", "description": "no sender may be chosen: SMTP_FROM is not set"}
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
        "description": "a sender of a domain in SMTP_FROM_ALLOWED",
    }


def mail_rules(templates: Mapping[str, Variables]) -> list[Schema]:
    """The forms that a mail may have: its own html or text, or a template with its variables."""
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


#: What a form can say of a mail: one of them is there.
ANY_CONTENT: Any = {"anyOf": [{"required": [name]} for name in ("html", "text", "template")]}
