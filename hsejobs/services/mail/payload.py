"""The payload model of the email queue."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, NoReturn

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import InitErrorDetails, PydanticCustomError

from hsejobs.errors import InvalidPayload
from hsejobs.services.mail.attachments import MAX_FILENAME_CHARS
from hsejobs.services.mail.described import (
    ANY_CONTENT,
    ARTIFACT_ID,
    FILENAME,
    SUBJECT,
    in_subject,
    mail_rules,
    sender_field,
)
from hsejobs.services.mail.message import MAX_RECIPIENTS, MAX_SUBJECT_CHARS, read_content
from hsejobs.services.mail.recipients import (
    MoreRecipients,
    Recipients,
    ReplyTo,
    Sender,
    checked,
    single_line,
)
from hsejobs.services.mail.render import check_template, template_variables
from hsejobs.services.mail.send import sender_domains
from hsejobs.services.mail.text import check_body
from hsejobs.settings import Settings

MAX_ATTACHMENTS = 20

# The length comes first: after a custom validator pydantic no longer knows that it is a string.
Subject = Annotated[str, Field(min_length=1, max_length=MAX_SUBJECT_CHARS), single_line, SUBJECT]
Filename = Annotated[str, Field(min_length=1, max_length=MAX_FILENAME_CHARS), single_line, FILENAME]
Body = Annotated[str, checked(partial(check_body, ""))]


class _MailModel(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )


class AttachmentReference(_MailModel):
    """An artifact to attach, named by its id only: never by a path or a URL."""

    artifact_id: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._:-]{0,199}$"), ARTIFACT_ID
    ]
    filename: Filename | None = None


def _none(kind: type[list[Any]] | type[dict[str, Any]] = list) -> Any:
    """A field that is empty unless given. pydantic makes a deep copy of a plain ``[]`` for each mail."""
    return Field(default_factory=kind, json_schema_extra={"default": kind()})


class EmailPayload(_MailModel):
    """A mail: its recipients, and either html and text or a template's name.

    ``html``, ``text`` and ``subject`` are sent unchanged; only the named template
    is rendered, with ``context``. It is also rendered here, so that a missing
    variable is reported before a job is added. Accepts camelCase and snake_case
    keys. Every error names its field and never repeats the value.
    """

    model_config = ConfigDict(json_schema_extra=ANY_CONTENT)

    to: Recipients = Field(examples=["user@example.com"])
    cc: MoreRecipients = _none()
    bcc: MoreRecipients = _none()
    subject: Subject | None = None
    html: Body | None = None
    text: Body | None = None
    from_: Sender | None = Field(default=None, alias="from")
    reply_to: ReplyTo | None = None
    template: Annotated[str, checked(check_template)] | None = Field(
        default=None, examples=["welcome"]
    )
    context: dict[str, JsonValue] = _none(dict)
    attachments: Annotated[list[AttachmentReference], Field(max_length=MAX_ATTACHMENTS)] = _none()

    @staticmethod
    def openapi_rules(settings: Settings) -> dict[str, Any]:
        """Return what the OpenAPI document adds to the fields."""
        domains = sender_domains(settings.smtp_url, settings.smtp_from, settings.smtp_from_allowed)
        return {
            "anyOf": mail_rules(template_variables()),
            "properties": {"from": sender_field(domains)},
        }

    @model_validator(mode="after")
    def _fits_together(self) -> EmailPayload:
        if len(self.to) + len(self.cc) + len(self.bcc) > MAX_RECIPIENTS:
            _raise_invalid(
                "to", f"must have at most {MAX_RECIPIENTS} recipients together with cc and bcc"
            )
        if self.template is None and self.context:
            _raise_invalid("context", "requires template: html and text are sent unchanged")
        self._check_subject()
        try:
            # The worker does the same: what it would refuse is refused before a job is added.
            read_content(self)
        except InvalidPayload as error:
            _raise_invalid(*error.problems[0])
        return self

    def _check_subject(self) -> None:
        """Refuse values that a template's subject cannot contain, as the document describes."""
        known = template_variables().get(self.template or "")
        for name in sorted(known.subject) if known else ():
            if not in_subject(self.context.get(name)):
                _raise_invalid(
                    f"context.{name}", "is used in the subject: must be text, a number or a boolean"
                )


def _raise_invalid(field: str, problem: str) -> NoReturn:
    # A plain ValueError in a model validator would not name the field.
    kind = PydanticCustomError("mail", problem)
    details = InitErrorDetails(type=kind, loc=tuple(field.split(".")), input=None)
    raise ValidationError.from_exception_data("EmailPayload", [details], hide_input=True)
