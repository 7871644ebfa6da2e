"""International host names mean the same host wherever they are used."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsejobs.services.hosts import ascii_host
from hsejobs.services.mail.address import parse_address
from hsejobs.services.mail.server import parse_smtp_url
from hsejobs.services.webhooks.address import parse_url


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("faß.example", "xn--fa-hia.example"),
        ("FASS.example", "fass.example"),
        ("Bücher.EXAMPLE", "xn--bcher-kva.example"),
        ("βόλος.example", "xn--nxasmm1c.example"),
        ("例え.jp", "xn--r8jz45g.jp"),
        ("例え。jp", "xn--r8jz45g.jp"),
        ("\uff25xample.com", "example.com"),
    ],
)
def test_one_rule_for_mail_endpoints_and_the_mail_server(name: str, host: str) -> None:
    assert ascii_host(name) == host
    assert parse_address(f"a@{name}", "to").domain == host
    assert parse_url(f"https://{name}/x").host == host
    assert parse_smtp_url(f"smtp://{name}").host == host


@pytest.mark.parametrize(
    "name", ["a" * 254, "☃\u200d.example", "ü" * 64 + ".example", "-ü.example"]
)
def test_an_invalid_name_is_a_value_error(name: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        ascii_host(name)


@given(st.text(max_size=300))
def test_any_text_is_a_name_or_a_value_error(text: str) -> None:
    try:
        host = ascii_host(text)
    except ValueError:
        return
    assert host.isascii()
    assert host == host.lower()
