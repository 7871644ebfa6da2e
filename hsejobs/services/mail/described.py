"""What forms and the OpenAPI document say of mail addresses, and of mails as a whole.

`parse_address` and the payload's model have the last word. The document describes addresses in
ASCII, and a name of ASCII letters before one; more is accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hsejobs.described import Described, Schema
from hsejobs.services.fields import HOST, IN_LINE

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
BARE_ADDRESS = Described(
    _address(named=False), pattern="@", description="a mail address: user@example.com"
)
_SEVERAL = "mail addresses; at most 50 receivers with those of to, cc and bcc"


def several(least: int) -> Described:
    """A list of addresses. That the three lists have 50 together, JSON Schema cannot say."""
    shown: Schema = {"type": "array", "items": _address()}
    return Described({**shown, "minItems": least} if least else shown, description=_SEVERAL)


#: A subject, or another line of a header.
_SUBJECT: Schema = {"type": "string", "pattern": f"^{IN_LINE}{{1,900}}$"}
SUBJECT = Described(_SUBJECT)
FILENAME = Described({"type": "string", "pattern": f"^{IN_LINE}{{1,150}}$"})
#: What a template's variable may be: text of one line, as it may be in the subject, or any JSON.
_VARIABLE: Schema = {"pattern": f"^{IN_LINE}*$"}


def sender_field(domains: tuple[str, ...]) -> Schema:
    """``from``: of a domain that the settings allow."""
    hosts = "|".join(domain.replace(".", "[.]") for domain in domains)
    return {
        "anyOf": [_address(f"(?:{hosts})") if hosts else {"type": "string", "maxLength": 0},
                  {"type": "null"}],
        "description": "a sender of a domain in SMTP_FROM_ALLOWED",
    }  # fmt: skip


def mail_rules(templates: Mapping[str, tuple[list[str], list[str]]]) -> list[Schema]:
    """The forms that a mail may have: its own html or text, or a template with its variables.

    ``templates``: of each name, the variables that it needs and those that it may have.
    """
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
            "required": ["template", "context"] if needed else ["template"],
            "properties": {
                "template": {"const": name},
                "html": nothing,
                "text": nothing,
                "context": {
                    "type": "object",
                    "required": needed,
                    "properties": dict.fromkeys([*needed, *possible], _VARIABLE),
                    "additionalProperties": True,
                },
            },
        }
        for name, (needed, possible) in templates.items()
    ]


#: What a form can say of a mail: one of them is there.
ANY_CONTENT: Any = {"anyOf": [{"required": [name]} for name in ("html", "text", "template")]}
