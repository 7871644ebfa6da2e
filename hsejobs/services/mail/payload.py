"""What a job of the email queue may ask for."""

from __future__ import annotations

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
from hsejobs.services.mail.message import MAX_RECEIVERS, MAX_SUBJECT_CHARS, read_content
from hsejobs.services.mail.recipients import (
    MoreReceivers,
    Receivers,
    ReplyTo,
    Sender,
    a_line,
    checked,
)
from hsejobs.services.mail.render import check_template, template_variables
from hsejobs.services.mail.send import sender_domains
from hsejobs.services.mail.text import check_body
from hsejobs.settings import Settings

MAX_ATTACHMENTS = 20

# The length first: what a check of ours returns is not known to be a text.
Subject = Annotated[str, Field(min_length=1, max_length=MAX_SUBJECT_CHARS), a_line, SUBJECT]
Filename = Annotated[str, Field(min_length=1, max_length=MAX_FILENAME_CHARS), a_line, FILENAME]
Body = Annotated[str, checked(lambda text: check_body("", text))]


class _MailModel(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )


class AttachmentReference(_MailModel):
    """An artifact to attach, by its id alone: never a path, never an address."""

    artifact_id: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._:-]{0,199}$"), ARTIFACT_ID
    ]
    filename: Filename | None = None


class EmailPayload(_MailModel):
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
    subject: Subject | None = None
    html: Body | None = None
    text: Body | None = None
    from_: Sender | None = Field(default=None, alias="from")
    reply_to: ReplyTo | None = None
    template: Annotated[str, checked(check_template)] | None = Field(
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
            "properties": {"from": sender_field(domains)},
        }

    @model_validator(mode="after")
    def _fits_together(self) -> EmailPayload:
        if len(self.to) + len(self.cc) + len(self.bcc) > MAX_RECEIVERS:
            _wrong("to", f"more than {MAX_RECEIVERS} receivers with cc and bcc")
        if self.template is None and self.context:
            _wrong("context", "goes with template only: html and text are sent as they are")
        self._check_subject()
        try:
            # What the worker does: what it would refuse is refused before there is a job.
            read_content(self)
        except InvalidPayload as error:
            _wrong(*error.problems[0])
        return self

    def _check_subject(self) -> None:
        """Refuses what no template's subject can hold, by the rule that the document describes."""
        known = template_variables().get(self.template or "")
        for name in sorted(known.subject) if known else ():
            if not in_subject(self.context.get(name)):
                _wrong(f"context.{name}", "stands in the subject: use text, a number or a boolean")


def _wrong(field: str, problem: str) -> NoReturn:
    # A plain error of a model validator would name no field.
    kind = PydanticCustomError("mail", problem)
    details = InitErrorDetails(type=kind, loc=tuple(field.split(".")), input=None)
    raise ValidationError.from_exception_data("EmailPayload", [details], hide_input=True)
