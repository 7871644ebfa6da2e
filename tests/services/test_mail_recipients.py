"""Recipients in every form that nodemailer takes, and the one form that is stored."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hsejobs.control.schema import problems
from hsejobs.services.mail.address import parse_address, split_addresses, with_name
from hsejobs.services.mail.payload import EmailPayload

MAIL: dict[str, Any] = {"to": "x@example.com", "subject": "Hi", "text": "there"}
ANN = {"name": "Doe, Ann", "address": "ann@example.com"}

FORMS: list[tuple[Any, list[tuple[str, str]]]] = [
    ("ann@example.com", [("", "ann@example.com")]),
    (" a@example.com , b@example.com ,", [("", "a@example.com"), ("", "b@example.com")]),
    ("a@example.com; b@example.com", [("", "a@example.com"), ("", "b@example.com")]),
    (
        '"Doe, Ann" <ann@example.com>, b@example.com',
        [("Doe, Ann", "ann@example.com"), ("", "b@example.com")],
    ),
    (
        "Doe, Ann <ann@example.com>, b@example.com",
        [("Doe, Ann", "ann@example.com"), ("", "b@example.com")],
    ),
    ('"a@x.example, \\"b" <ann@example.com>', [('a@x.example, "b', "ann@example.com")]),
    (ANN, [("Doe, Ann", "ann@example.com")]),
    ({"address": "ann@example.com"}, [("", "ann@example.com")]),
    ({"name": "", "address": "ann@example.com"}, [("", "ann@example.com")]),
    ({"name": 'a "b" <c> \\', "address": "ann@example.com"}, [('a "b" <c> \\', "ann@example.com")]),
    (
        [ANN, "b@example.com", "c@example.com, D <d@example.com>"],
        [
            ("Doe, Ann", "ann@example.com"),
            ("", "b@example.com"),
            ("", "c@example.com"),
            ("D", "d@example.com"),
        ],
    ),
]


@pytest.mark.parametrize(("sent", "read"), FORMS)
@pytest.mark.parametrize("field", ["to", "cc", "bcc", "replyTo"])
def test_a_form_is_taken_and_stored_as_texts(
    field: str, sent: Any, read: list[tuple[str, str]]
) -> None:
    data = EmailPayload.model_validate(MAIL | {field: sent}).model_dump(
        mode="json", by_alias=True, exclude_unset=True
    )
    stored = data[field]
    if field == "replyTo" and len(read) == 1:
        stored = [stored]
    found = [parse_address(one, field) for one in stored]
    assert [(one.name, one.spec) for one in found] == read
    # Stored, it is read again by the worker, and by one of an earlier release.
    assert (
        EmailPayload.model_validate(data).model_dump(mode="json", by_alias=True, exclude_unset=True)
        == data
    )
    assert problems(MAIL | {field: sent}, EmailPayload.model_json_schema(by_alias=True)) == []


@pytest.mark.parametrize(
    ("field", "sent", "where"),
    [
        ("to", "a@example.com, secret", "to.1"),
        ("to", ["a@example.com", "b@example.com, secret"], "to.1"),
        ("to", {"name": "Ann"}, "to.address"),
        ("to", [{"name": "Ann", "address": "secret"}], "to.0.address"),
        ("to", {"address": "Secret <a@example.com>"}, "to.address"),
        ("to", {"address": "a@example.com, secret@example.com"}, "to.address"),
        ("to", {"address": "a@example.com", "group": []}, "to.group"),
        ("to", [{"name": "secret\r\nBcc: x@example.com", "address": "a@example.com"}], "to.0.name"),
        ("to", {"name": "secret" * 40, "address": "a@example.com"}, "to.name"),
        ("to", ",;,", "to.0"),
        ("to", [["a@example.com"]], "to.0"),
        ("to", ", ".join(f"secret{n}@example.com" for n in range(51)), "to"),
        ("to", [", ".join(f"s{n}@example.com" for n in range(26))] * 2, "to"),
        ("to", "secret" * 10_000, "to.0"),
        ("from", "a@example.com, secret@example.com", "from"),
        ("from", {"address": "secret"}, "from.address"),
        ("from", ["a@example.com"], "from"),
        ("cc", [None], "cc.0"),
        ("replyTo", [], "replyTo"),
    ],
)
def test_what_is_wrong_is_named_and_not_repeated(field: str, sent: Any, where: str) -> None:
    with pytest.raises(ValidationError) as caught:
        EmailPayload.model_validate(MAIL | {field: sent})
    errors = caught.value.errors(include_url=False, include_input=False, include_context=False)
    assert where in {".".join(map(str, error["loc"])) for error in errors}
    assert "secret" not in str(errors).lower()


def test_a_sender_with_a_name() -> None:
    mail = EmailPayload.model_validate(MAIL | {"from": ANN})
    assert mail.from_ == '"Doe, Ann" <ann@example.com>'


@given(st.text(st.characters(categories=["L", "N", "P", "S"]) | st.just(" "), max_size=60))
def test_any_name_comes_back(name: str) -> None:
    read = parse_address(with_name(name, "ann@example.com"), "to")
    assert read.name == " ".join(one for one in name.split(" ") if one)
    assert split_addresses(with_name(name, "a@b.example") + ", c@d.example")[1:] == ["c@d.example"]


@given(st.text())
def test_a_split_loses_nothing_but_what_parts(text: str) -> None:
    def kept(given_: str) -> str:
        return "".join(c for c in given_ if c not in " ,;")

    assert kept("".join(split_addresses(text))) == kept(text)
