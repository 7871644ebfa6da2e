"""The payload model of the webhooks queue."""

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
    """Return JSON data that JavaScript reads back unchanged; times, UUIDs etc. become strings."""
    if not isinstance(value, dict):
        raise PydanticCustomError("payload", "must be an object")
    try:
        return plain(value, other=to_jsonable_python)
    except NotJavaScript as error:
        # A plain ValueError in a validator would not name the location inside.
        kind = PydanticCustomError("payload", _braces(error.problem))
        details = InitErrorDetails(type=kind, loc=error.path, input=None)
        raise ValidationError.from_exception_data("Payload", [details], hide_input=True) from None


def _braces(text: str) -> Any:
    return text.replace("{", "(").replace("}", ")")


#: ``localhost`` and its subdomains are not public.
_NOT_LOCAL = "(?!(?:[^/?#:]*[.])?[Ll][Oo][Cc][Aa][Ll][Hh][Oo][Ss][Tt](?:[:/?#]|$))"
#: The host is a name: JSON Schema cannot express which IP addresses may be called, nor how
#: an international name is encoded.
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
#: 1 to 963 bytes in base64; the padding is optional.
_BASE64 = (
    "(?:(?:[A-Za-z0-9+/]{4}){1,240}(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?"
    "|[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)"
)
#: JavaScript represents every integer up to this one; a few larger ones are accepted too.
_EVERY = MAX_SAFE + 1
#: Any JSON except integers that JavaScript would round. It has no ``type``, so that clients accept
#: values of any type.
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
#: One line of printable ASCII: it is sent in a header.
Event = Annotated[
    str,
    StringConstraints(strip_whitespace=True, pattern=EVENT),
    # Surrounding spaces are stripped before the pattern is checked.
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
        description=f"the key that signs the call; must be base64 after {PREFIX}",
    ),
]


class WebhookPayload(Payload):
    """One webhook call: the endpoint's URL, the data, and the secret that signs it."""

    url: Url = Field(examples=["https://api.example.com/webhook"])
    payload: Data = Field(examples=[{"event": "incident.created", "data": {}}])
    secret: SecretText | None = None
    event_type: Event = Field(examples=["incident.created"])
    organization_id: Identifier | None = None

    @staticmethod
    def openapi_rules(settings: Settings) -> dict[str, Any]:
        """Return what the OpenAPI document adds to the fields."""
        payload = {"type": "object", "additionalProperties": {"$ref": f"#/$defs/{_JSON}"}}
        return {"$defs": {_JSON: _SAFE_JSON}, "properties": {"payload": payload}}

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """Dump with ``payload`` unchanged: pydantic's serializer rejects lone surrogates."""
        return {**super().model_dump(**options, exclude={"payload"}), "payload": self.payload}
