"""Field types and the base class that the payload models share."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from hsejobs.described import Described, Schema
from hsejobs.model import UNSEEN

_BREAKS = r"\u0000-\u001f\u007f-\u009f\u2028\u2029"
_SPACES = r" \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
#: For patterns in the OpenAPI document: any character allowed in one line, including spaces ...
IN_LINE = f"[^{_BREAKS}]"
#: ... and any character allowed in the id of an organization or user.
IDENTIFIER = f"[^{UNSEEN}]"
#: A host name of at most 189 characters; its last label is never a number.
HOST = (
    "(?:(?:[A-Za-z0-9](?:-?[A-Za-z0-9]){0,30}[.]){0,2}|(?:[A-Za-z0-9](?:-?[A-Za-z0-9]){0,14}[.]){0,5})"
    "[A-Za-z](?:-?[A-Za-z0-9]){0,14}"
)


def line(*without: str) -> Schema:
    """Return the JSON schema of a `Line` that also excludes the characters in ``without``."""
    excluded = "".join((_BREAKS, *without))
    pattern = f"^[^{excluded}]*[^{excluded}{_SPACES}][^{excluded}]*$"
    return {"type": "string", "pattern": pattern, "maxLength": 200}


#: Human-readable text: trimmed, not empty, one line.
Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    Described(line(), maxLength=None),
]
#: Printable characters only; the store checks this again.
Identifier = Annotated[
    str,
    Field(min_length=1, max_length=200),
    Described({"type": "string", "pattern": f"^{IDENTIFIER}{{1,200}}$"}),
]


class Payload(BaseModel):
    """Base model: accepts the platform's camelCase keys and snake_case; rejects unknown keys."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", hide_input_in_errors=True
    )
