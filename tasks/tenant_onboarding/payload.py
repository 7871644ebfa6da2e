"""The payload model of the tenant-onboarding queue."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, NoReturn

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from hsejobs.described import Described
from hsejobs.errors import InvalidPayload
from hsejobs.services.fields import Line, Payload, line
from hsejobs.services.mail.address import parse_address
from hsejobs.services.mail.described import BARE_ADDRESS
from hsejobs.services.mail.text import check_line
from hsejobs.settings import Settings

Tier = Literal["free", "starter", "professional", "enterprise"]
#: The length of the platform's ``name_key`` column: case folding may make a name longer.
MAX_NAME_KEY = 400


def name_key(name: str) -> str:
    """Return the key that all spellings of an organization's name share: case-folded, trimmed."""
    return name.strip().casefold()


def address_key(address: str) -> str:
    """Return the same for mail addresses: case-folded, with the domain in ASCII."""
    return parse_address(address, "adminEmail").spec.casefold()


def _one_line(text: str) -> str:
    try:
        check_line("", text)
    except InvalidPayload as error:
        raise PydanticCustomError("onboarding", error.problems[0][1]) from None
    return text


def _organization(name: str) -> str:
    if len(name_key(name)) > MAX_NAME_KEY:
        raise PydanticCustomError(
            "onboarding", f"must have at most {MAX_NAME_KEY} characters in lower case"
        )
    return name


def _address(text: str) -> str:
    try:
        if parse_address(text, "").name or text.endswith(">"):
            raise PydanticCustomError(
                "onboarding", "must be an address without a name: user@example.com"
            )
    except InvalidPayload as error:
        raise PydanticCustomError("onboarding", error.problems[0][1]) from None
    return text


def _stripe_id(kind: str, prefix: str) -> Callable[[str], str]:
    form = re.compile(_stripe_form(prefix)[:-1] + r"\Z")

    def check(text: str) -> str:
        if not form.match(text):
            problem = f"must be a Stripe {kind} id: {prefix}_ followed by letters and digits"
            raise PydanticCustomError("onboarding", problem)
        return text

    return check


def _stripe_form(prefix: str) -> str:
    return f"^{prefix}_[A-Za-z0-9]{{1,190}}$"


CustomerId = Annotated[
    str,
    AfterValidator(_stripe_id("customer", "cus")),
    Field(json_schema_extra={"pattern": _stripe_form("cus")}),
]
SubscriptionId = Annotated[
    str,
    AfterValidator(_stripe_id("subscription", "sub")),
    Field(json_schema_extra={"pattern": _stripe_form("sub")}),
]


#: Letters that case folding expands to three: ``_organization`` refuses them in the longest names.
_LONGER = r"\u0390\u03b0\u1f50-\u1fff\ufb03\ufb04"
OrganizationName = Annotated[
    Line,
    AfterValidator(_one_line),
    AfterValidator(_organization),
    Described(line(_LONGER), maxLength=None),
]


class TenantPayload(Payload):
    """The organization, its first administrator and its subscription.

    Every error names its field and never repeats the value.
    """

    organization_name: OrganizationName = Field(examples=["Acme Corp"])
    admin_email: Annotated[str, AfterValidator(_address), BARE_ADDRESS] = Field(
        examples=["admin@acme.com"]
    )
    admin_name: Annotated[Line, AfterValidator(_one_line)] = Field(examples=["John Doe"])
    tier: Tier = "starter"
    stripe_customer_id: CustomerId | None = None
    stripe_subscription_id: SubscriptionId | None = None

    @staticmethod
    def openapi_rules(settings: Settings) -> dict[str, Any]:
        """Return what the OpenAPI document adds: a subscription requires a customer."""
        return {
            "anyOf": [
                {"properties": {"stripeSubscriptionId": {"type": "null"}}},
                {
                    "required": ["stripeCustomerId"],
                    "properties": {"stripeCustomerId": {"type": "string"}},
                },
            ]
        }

    @model_validator(mode="after")
    def _fits_together(self) -> TenantPayload:
        if self.stripe_subscription_id is not None and self.stripe_customer_id is None:
            _raise_invalid("stripeCustomerId", "is required with stripeSubscriptionId")
        return self


def _raise_invalid(field: str, problem: str) -> NoReturn:
    # A plain ValueError in a model validator would not name the field.
    details = InitErrorDetails(
        type=PydanticCustomError("onboarding", problem), loc=(field,), input=None
    )
    raise ValidationError.from_exception_data("TenantPayload", [details], hide_input=True)
