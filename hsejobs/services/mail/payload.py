"""What a job of the email queue may ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, NoReturn

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import InitErrorDetails, PydanticCustomError

from hsejobs.errors import InvalidPayload
from hsejobs.services.mail.address import parse_address
from hsejobs.services.mail.attachments import MAX_FILENAME_CHARS
from hsejobs.services.mail.described import (
    ADDRESS,
    ANY_CONTENT,
    FILENAME,
    SUBJECT,
    mail_rules,
    sender_field,
    several,
)
from hsejobs.services.mail.message import MAX_RECEIVERS, MAX_SUBJECT_CHARS
from hsejobs.services.mail.render import check_template, render, template_variables
from hsejobs.services.mail.send import sender_domains
from hsejobs.services.mail.text import check_body, check_line
from hsejobs.settings import Settings

MAX_ATTACHMENTS = 20


def _checked(check: Callable[[str], object]) -> AfterValidator:
    """Run a check of ours; what it finds becomes the field's error, without the value."""

    def validate(text: str) -> str:
        try:
            check(text)
        except InvalidPayload as error:
            raise PydanticCustomError("mail", error.problems[0][1]) from None
        return text

    return AfterValidator(validate)


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _absent_is_empty(value: Any) -> Any:
    return [] if value is None else _as_list(value)


MailAddress = Annotated[
    str, Field(max_length=500), _checked(lambda text: parse_address(text, "")), ADDRESS
]
Line = Annotated[str, _checked(lambda text: check_line("", text))]
Body = Annotated[str, _checked(lambda text: check_body("", text))]
Receivers = Annotated[
    list[MailAddress],
    Field(min_length=1, max_length=MAX_RECEIVERS),
    BeforeValidator(
        _as_list,
        json_schema_input_type=MailAddress
        | Annotated[list[MailAddress], Field(min_length=1, max_length=MAX_RECEIVERS), several(1)],
    ),
]
MoreReceivers = Annotated[
    list[MailAddress],
    Field(max_length=MAX_RECEIVERS),
    BeforeValidator(
        _absent_is_empty,
        json_schema_input_type=MailAddress
        | Annotated[list[MailAddress], Field(max_length=MAX_RECEIVERS), several(0)]
        | None,
    ),
]


class _Model(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )


class AttachmentReference(_Model):
    """An artifact to attach, by its id alone: never a path, never an address."""

    artifact_id: str = Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._:-]{0,199}$")
    filename: (
        Annotated[Line, Field(min_length=1, max_length=MAX_FILENAME_CHARS), FILENAME] | None
    ) = None


class EmailPayload(_Model):
    """A mail: to whom, and either its own html and text or a template's name.

    Given html, text and subject are sent as they are: only the named template
    is filled in, with ``context``, and that is tried out here, so that a missing
    variable is found before there is a job. Takes camelCase and snake_case
    keys. Every error names its field and repeats no value.
    """

    model_config = ConfigDict(json_schema_extra=ANY_CONTENT)

    to: Receivers = Field(examples=["user@example.com"])
    cc: MoreReceivers = []
    bcc: MoreReceivers = []
    subject: Annotated[Line, Field(min_length=1, max_length=MAX_SUBJECT_CHARS), SUBJECT] | None = (
        None
    )
    html: Body | None = None
    text: Body | None = None
    from_: MailAddress | None = Field(default=None, alias="from")
    reply_to: MailAddress | None = None
    template: Annotated[str, _checked(check_template)] | None = Field(
        default=None, examples=["welcome"]
    )
    context: dict[str, JsonValue] = {}
    attachments: list[AttachmentReference] = Field(default=[], max_length=MAX_ATTACHMENTS)

    @staticmethod
    def openapi_rules(settings: Settings) -> dict[str, Any]:
        """What the OpenAPI document adds to the fields."""
        domains = sender_domains(settings.smtp_url, settings.smtp_from, settings.smtp_from_allowed)
        return {
            "anyOf": mail_rules(template_variables()),
            "properties": {"from": sender_field(tuple(domains))},
        }

    @model_validator(mode="after")
    def _fits_together(self) -> EmailPayload:
        if len(self.to) + len(self.cc) + len(self.bcc) > MAX_RECEIVERS:
            _wrong("to", f"more than {MAX_RECEIVERS} receivers with cc and bcc")
        if self.template is None:
            if not self.html and not self.text:
                _wrong("text", "give html, text or template")
            if self.context:
                _wrong("context", "goes with template only: html and text are sent as they are")
        elif self.html or self.text:
            _wrong("template", "goes without html and text")
        subject = self.subject
        if self.template is not None:
            try:
                rendered = render(self.template, self.context, subject=not subject)
                subject = subject or rendered.subject
            except InvalidPayload as error:
                _wrong(*error.problems[0])
        if not subject:
            _wrong("subject", "is required")
        return self


def _wrong(field: str, problem: str) -> NoReturn:
    # A plain error of a model validator would name no field.
    kind = PydanticCustomError("mail", problem)
    details = InitErrorDetails(type=kind, loc=tuple(field.split(".")), input=None)
    raise ValidationError.from_exception_data("EmailPayload", [details], hide_input=True)
