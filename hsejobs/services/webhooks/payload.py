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

from hsejobs.errors import InvalidPayload
from hsejobs.masking import Secret
from hsejobs.services.fields import Identifier, Payload
from hsejobs.services.webhooks.address import MAX_URL, parse_url
from hsejobs.services.webhooks.signing import EVENT
from hsejobs.services.webhooks.stringify import NotJavaScript, plain


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


Url = Annotated[str, Field(max_length=MAX_URL), AfterValidator(_url)]
Data = Annotated[
    dict[str, Any],
    PlainValidator(_data),
    WithJsonSchema({"type": "object", "additionalProperties": True}),
]
#: One line of printable ASCII: it goes into a header.
Event = Annotated[str, StringConstraints(strip_whitespace=True, pattern=EVENT)]


class WebhookPayload(Payload):
    """Where to, what, and the secret that signs it."""

    url: Url = Field(examples=["https://api.example.com/webhook"])
    payload: Data = Field(examples=[{"event": "incident.created", "data": {}}])
    secret: Annotated[str, Secret(), Field(min_length=1, max_length=1000)] | None = None
    event_type: Event = Field(examples=["incident.created"])
    organization_id: Identifier | None = None

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """The payload's data as they are: pydantic's writer takes no lone surrogates."""
        return {**super().model_dump(**options, exclude={"payload"}), "payload": self.payload}
