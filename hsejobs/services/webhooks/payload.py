"""What a job of the webhooks queue may ask for."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    Field,
    PlainValidator,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import InitErrorDetails, PydanticCustomError, to_jsonable_python

from hsejobs.described import Described
from hsejobs.errors import InvalidPayload
from hsejobs.masking import Secret
from hsejobs.services.fields import HOST, Identifier, Payload
from hsejobs.services.webhooks.address import MAX_URL, parse_url
from hsejobs.services.webhooks.signing import EVENT, PREFIX
from hsejobs.services.webhooks.stringify import MAX_DEPTH, MAX_SAFE, NotJavaScript, plain
from hsejobs.settings import Settings


def _url(text: str) -> str:
    try:
        parse_url(text)
    except InvalidPayload as error:
        raise PydanticCustomError("url", error.problems[0][1]) from None
    return text


def _data(value: Any) -> Any:
    """JSON data that JavaScript reads back as it is; times, UUIDs and such become text."""
    if not isinstance(value, dict):
        raise PydanticCustomError("payload", "must be an object")
    try:
        return plain(value, other=to_jsonable_python)
    except NotJavaScript as error:
        # A plain error of a validator would not name the place inside.
        kind = PydanticCustomError("payload", _braces(error.problem))
        details = InitErrorDetails(type=kind, loc=error.path, input=None)
        raise ValidationError.from_exception_data("Payload", [details], hide_input=True) from None


def _braces(text: str) -> Any:
    return text.replace("{", "(").replace("}", ")")


#: Names of the host itself are addresses that are not public.
_NOT_LOCAL = "(?!(?:[^/?#:]*[.])?[Ll][Oo][Cc][Aa][Ll][Hh][Oo][Ss][Tt](?:[:/?#]|$))"
#: A name as the host: whether an address may be called, and what a name of other letters becomes,
#: JSON Schema cannot say.
_DOCUMENT_URL = (
    f"^https?://{_NOT_LOCAL}{HOST}(?::(?:[1-9][0-9]{{0,3}}|[1-5][0-9]{{4}}))?"
    r"(?:[/?][^\u0000-\u0020\u007f#]{0,1400})?(?:#[^\u0000-\u0020\u007f]{0,300})?$"
)
Url = Annotated[
    str,
    Field(max_length=MAX_URL),
    AfterValidator(_url),
    Described(
        {"type": "string", "pattern": _DOCUMENT_URL},
        pattern=r"^[Hh][Tt][Tt][Pp][Ss]?://[^\s\\@]",
        description="a URL: http://host/path or https://host/path",
    ),
]
#: One byte to 963 of them; the padding may be left out.
_BASE64 = (
    "(?:(?:[A-Za-z0-9+/]{4}){1,240}(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?"
    "|[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)"
)
#: Up to here JavaScript has every integer; of those beyond, a few are taken too.
_EVERY = MAX_SAFE + 1
#: Any JSON, but no integers that JavaScript would round. Without ``type``, so that clients take
#: values of whatever type they have.
_JSON = "JavaScriptValue"
_SAFE_JSON = {
    "description": f"JSON without integers beyond {_EVERY}, at most {MAX_DEPTH} levels deep",
    "anyOf": [
        {"not": {"type": "integer"}},
        {"type": "integer", "minimum": -_EVERY, "maximum": _EVERY},
    ],
    "items": {"$ref": f"#/$defs/{_JSON}"},
    "additionalProperties": {"$ref": f"#/$defs/{_JSON}"},
}
Data = Annotated[
    dict[str, Any],
    PlainValidator(_data),
    WithJsonSchema({"type": "object", "additionalProperties": True}),
]
#: One line of printable ASCII: it goes into a header.
Event = Annotated[
    str,
    StringConstraints(strip_whitespace=True, pattern=EVENT),
    # Spaces around it are taken off before the pattern is looked at.
    Described(
        {"type": "string", "pattern": rf"^[ \t\r\n]*{EVENT[1:-1]}[ \t\r\n]*$"},
        pattern=r"^\s*[!-~][ -~]{0,199}\s*$",
    ),
]

SecretText = Annotated[
    str,
    Secret(),
    Field(min_length=1, max_length=1000),
    Described(
        {
            "type": "string",
            "anyOf": [
                {"minLength": 1, "maxLength": 1000, "pattern": f"^(?!{PREFIX})"},
                {"pattern": f"^{PREFIX}{_BASE64}$"},
            ],
        },
        description=f"signs the call; after {PREFIX} it is base64",
    ),
]


class WebhookPayload(Payload):
    """Where to, what, and the secret that signs it."""

    url: Url = Field(examples=["https://api.example.com/webhook"])
    payload: Data = Field(examples=[{"event": "incident.created", "data": {}}])
    secret: SecretText | None = None
    event_type: Event = Field(examples=["incident.created"])
    organization_id: Identifier | None = None

    @staticmethod
    def openapi_rules(settings: Settings) -> dict[str, Any]:
        """What the OpenAPI document adds to the fields."""
        payload = {"type": "object", "additionalProperties": {"$ref": f"#/$defs/{_JSON}"}}
        return {"$defs": {_JSON: _SAFE_JSON}, "properties": {"payload": payload}}

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """The payload's data as they are: pydantic's writer takes no lone surrogates."""
        return {**super().model_dump(**options, exclude={"payload"}), "payload": self.payload}
