"""Addresses: which are valid, which are not, and how one is masked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsejobs.errors import InvalidPayload
from hsejobs.services.mail.address import mask_address, mask_addresses_in, parse_address


@pytest.mark.parametrize(
    ("text", "name", "spec"),
    [
        ("user@example.com", "", "user@example.com"),
        ("  user@Example.COM ", "", "user@example.com"),
        ("User+tag@example.com", "", "User+tag@example.com"),
        ("Ann Doe <ann@example.com>", "Ann Doe", "ann@example.com"),
        ('"Doe, Ann" <ann@example.com>', "Doe, Ann", "ann@example.com"),
        ("Doe, Ann <ann@example.com>", "Doe, Ann", "ann@example.com"),
        ('"say \\"hi\\"" <ann@example.com>', 'say "hi"', "ann@example.com"),
        ("<ann@example.com>", "", "ann@example.com"),
        ("Jürgen Größe <j@bücher.example>", "Jürgen Größe", "j@xn--bcher-kva.example"),
        ("用户@例え.jp", "", "用户@xn--r8jz45g.jp"),
        ("root@localhost", "", "root@localhost"),
    ],
)
def test_an_address_is_read(text: str, name: str, spec: str) -> None:
    address = parse_address(text, "to")
    assert (address.name, address.spec) == (name, spec)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret",
        "@example.com",
        "secret@",
        "secret@@example.com",
        "a@example.com, secret@example.com",
        "a@example.com,secret@example.com",
        "a@example.com, Secret <secret@example.com>",
        "Secret <a@example.com> <secret@example.com>",
        "secret a@example.com",
        "secret@exa mple.com",
        "secret@-example.com",
        "secret@example..com",
        "secret@example.com.",
        "secret@127.0.0.1",
        "secret@[127.0.0.1]",
        ".secret@example.com",
        "secret.@example.com",
        "se..cret@example.com",
        "secret>@example.com",
        "secret@example.com>",
        "secret\u202e@example.com",
        "secret\u00a0x@example.com",
        "s" * 65 + "@example.com",
        "secret@" + "a." * 127 + "com",
        "secret@" + "ü" * 64 + ".com",
        "N" * 201 + " <secret@example.com>",
        "secret@example.com\r\nBcc: x@example.com",
        "Se\ncret <a@example.com>",
        "Secret\x00 <a@example.com>",
        "Secret\x7f <a@example.com>",
        "Secret\u2028 <a@example.com>",
        "Secret\ud800 <a@example.com>",
    ],
)
def test_an_invalid_address_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(InvalidPayload) as caught:
        parse_address(text, "cc.3")
    assert caught.value.field == "cc.3"
    assert "secret" not in str(caught.value).lower()


@given(st.text())
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        address = parse_address(text, "to")
    except InvalidPayload:
        return
    assert address.domain.isascii()
    assert address.spec.count("@") == 1
    assert not set(address.spec) & set("\r\n\0 <>,;:\"'()") - {"'"}


@pytest.mark.parametrize(
    ("given_", "masked"),
    [
        ("user@example.com", "u***@example.com"),
        ("Ann <ann@example.com>", "a***@example.com"),
        ("u@example.com", "u***@example.com"),
        ("@example.com", "***@example.com"),
        ("用户@例え.jp", "用***@例え.jp"),
        ("no address", "***"),
        ("", "***"),
        ("user@exa\nmple.com", "u***@***"),
        ("\r@example.com", "***@example.com"),
        (None, "***"),
        (7, "***"),
        (["user@example.com"], "***"),
    ],
)
def test_the_mask(given_: object, masked: str) -> None:
    assert mask_address(given_) == masked


@given(st.one_of(st.text(), st.none(), st.binary(), st.integers()))
def test_the_mask_takes_anything(given_: object) -> None:
    masked = mask_address(given_)
    assert "***" in masked
    assert "\n" not in masked


def test_addresses_in_a_text_are_masked() -> None:
    text = "<bob.builder@example.com>: unknown; ask postmaster@example.org"
    assert mask_addresses_in(text) == "<b***@example.com>: unknown; ask p***@example.org"
