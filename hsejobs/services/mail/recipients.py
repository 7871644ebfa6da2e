"""Convert address fields from every form that nodemailer accepts to the one form that is stored.

``"a@x.com"``, ``"a@x.com, Ann <b@x.com>"``, ``{"name": "Ann", "address": "b@x.com"}`` and a list
of these all become a list of strings with one address each: stored payloads have one form, which
earlier releases can read.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from hsejobs.errors import InvalidPayload
from hsejobs.services.mail.address import (
    MAX_NAME_CHARS,
    parse_address,
    plain_address,
    split_addresses,
    with_name,
)
from hsejobs.services.mail.described import (
    ADDRESS,
    ADDRESSES,
    BARE_ADDRESS,
    SEVERAL,
    SHOWN_NAME,
)
from hsejobs.services.mail.message import MAX_RECIPIENTS
from hsejobs.services.mail.text import check_line

MAX_ADDRESS_CHARS = 500
MAX_LIST_CHARS = MAX_RECIPIENTS * MAX_ADDRESS_CHARS


def checked(check: Callable[[str], object]) -> AfterValidator:
    """Return a validator that runs ``check`` and reports its `InvalidPayload` for the field."""

    def validate(text: str) -> str:
        try:
            check(text)
        except InvalidPayload as error:
            raise PydanticCustomError("mail", error.problems[0][1]) from None
        return text

    return AfterValidator(validate)


single_line = checked(partial(check_line, ""))


class Mailbox(BaseModel):
    """One address and an optional display name."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: Annotated[str, Field(max_length=MAX_NAME_CHARS), single_line, SHOWN_NAME] | None = None
    address: Annotated[
        str, Field(max_length=254), checked(lambda text: _bare(text)), BARE_ADDRESS
    ] = Field(examples=["user@example.com"])


def _bare(text: str) -> None:
    if parse_address(text, "").name or "<" in text:
        raise InvalidPayload("", "must be an address without a name: use the field name")


#: One address as a string, for payloads of other queues that send a notification.
MailAddress = Annotated[
    str,
    Field(max_length=MAX_ADDRESS_CHARS),
    checked(lambda text: parse_address(text, "")),
    ADDRESS,
]
Text = Annotated[str, Field(min_length=1, max_length=MAX_LIST_CHARS), ADDRESSES]
One = Annotated[str, Field(min_length=1, max_length=MAX_ADDRESS_CHARS * 2), ADDRESS]
_Replies = Annotated[list[Text | Mailbox], Field(min_length=1, max_length=MAX_RECIPIENTS)]
_NonEmptyList = Annotated[
    list[Text | Mailbox], Field(min_length=1, max_length=MAX_RECIPIENTS), SEVERAL
]
_List = Annotated[list[Text | Mailbox], Field(max_length=MAX_RECIPIENTS), SEVERAL]


def _read(value: Any, alone: tuple[int, ...] = (0,)) -> list[str]:
    """Return the checked addresses. Raises ValidationError with the location of each problem.

    ``alone``: the location of a string that is not in a list and has one address.
    """
    if type(value) is str and plain_address(value):
        return [value]
    listed = isinstance(value, list | tuple)
    given = list(value) if listed else [value]
    if len(given) > MAX_RECIPIENTS:
        raise _too_many()
    found: list[str] = []
    problems: list[InitErrorDetails] = []
    for place, item in enumerate(given):
        texts = _texts(item)
        for number, one in enumerate(texts):
            where: tuple[int, ...] = (place,) if listed else (number,)
            if not listed and len(texts) == 1:
                where = alone if isinstance(item, str) else ()
            try:
                found.append(_text(one))
            except ValidationError as error:
                problems += [
                    InitErrorDetails(type=_kind(e["msg"]), loc=(*where, *e["loc"]), input=None)
                    for e in error.errors(include_url=False, include_input=False)
                ]
            except PydanticCustomError as error:
                problems.append(InitErrorDetails(type=error, loc=where, input=None))
            if len(problems) + len(found) > MAX_RECIPIENTS:
                raise _too_many()
    if problems:
        raise ValidationError.from_exception_data("to", problems, hide_input=True)
    return found


def _texts(item: Any) -> list[Any]:
    """Split one entry into addresses; a string without any is returned for the check to refuse."""
    if not isinstance(item, str) or len(item) > MAX_LIST_CHARS:
        return [item]
    return split_addresses(item) or [item]


def _text(item: Any) -> str:
    if isinstance(item, dict | Mailbox):
        mailbox = Mailbox.model_validate(item)
        item = with_name(mailbox.name or "", mailbox.address.strip(" "))
    if not isinstance(item, str):
        raise PydanticCustomError(
            "mail", "must be a mail address: a string or an object with name and address"
        )
    if len(item) > MAX_ADDRESS_CHARS * 2:
        raise PydanticCustomError("mail", "must be one mail address: the text is too long")
    try:
        parse_address(item, "")
    except InvalidPayload as error:
        raise PydanticCustomError("mail", error.problems[0][1]) from None
    return item


def _kind(text: str) -> PydanticCustomError:
    # pydantic treats braces as placeholders.
    plain: Any = text.replace("{", "(").replace("}", ")")
    return PydanticCustomError("mail", plain)


def _too_many() -> PydanticCustomError:
    return _kind(f"must have at most {MAX_RECIPIENTS} recipients")


def _required(value: Any) -> list[str]:
    return _not_empty(_read(value))


def _not_empty(found: list[str]) -> list[str]:
    if not found:
        raise _kind("must name at least one recipient")
    return found


def _optional(value: Any) -> list[str]:
    return [] if value is None else _read(value)


def _single(value: Any) -> str:
    if isinstance(value, dict | Mailbox):
        return _read(value)[0]
    if not isinstance(value, str):
        raise _kind("must be one mail address: a string or an object with name and address")
    return _text(value)


def _replies(value: Any) -> str | list[str]:
    found = _not_empty(_read(value, alone=()))
    # A single address is stored as a string, as in earlier releases.
    return found[0] if len(found) == 1 else found


Recipients = Annotated[
    list[str], PlainValidator(_required, json_schema_input_type=Text | Mailbox | _NonEmptyList)
]
MoreRecipients = Annotated[
    list[str], PlainValidator(_optional, json_schema_input_type=Text | Mailbox | _List | None)
]
Sender = Annotated[str, PlainValidator(_single, json_schema_input_type=One | Mailbox)]
ReplyTo = Annotated[
    str | list[str], PlainValidator(_replies, json_schema_input_type=Text | Mailbox | _Replies)
]
