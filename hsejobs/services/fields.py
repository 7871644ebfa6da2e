"""What the payload models share."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from hsejobs.described import Described, Schema
from hsejobs.model import UNSEEN

_BREAKS = r"\u0000-\u001f\u007f-\u009f\u2028\u2029"
_SPACES = r" \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
#: For patterns of the OpenAPI document: any character that may stand in a line, a space too ...
IN_LINE = f"[^{_BREAKS}]"
#: ... and one of an organization's or user's id.
IDENTIFIER = f"[^{UNSEEN}]"
#: A host that is a name, at most 189 characters long; its last label is never a number.
HOST = (
    "(?:(?:[A-Za-z0-9](?:-?[A-Za-z0-9]){0,30}[.]){0,2}|(?:[A-Za-z0-9](?:-?[A-Za-z0-9]){0,14}[.]){0,5})"
    "[A-Za-z](?:-?[A-Za-z0-9]){0,14}"
)


def line(*without: str) -> Schema:
    """What the document says of a `Line`; ``without``: characters that it has none of."""
    no = "".join((_BREAKS, *without))
    pattern = f"^[^{no}]*[^{no}{_SPACES}][^{no}]*$"
    return {"type": "string", "pattern": pattern, "maxLength": 200}


#: Text for people: trimmed, not empty, one line.
Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    Described(line(), maxLength=None),
]
#: Printable; the store checks that again.
Identifier = Annotated[
    str,
    Field(min_length=1, max_length=200),
    Described({"type": "string", "pattern": f"^{IDENTIFIER}{{1,200}}$"}),
]


class Payload(BaseModel):
    """Takes the platform's camelCase keys and Python's snake_case; unknown keys are refused."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", hide_input_in_errors=True
    )
