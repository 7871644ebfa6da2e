"""Which URLs and addresses a call may go to."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsejobs.errors import InvalidPayload
from hsejobs.services.webhooks.address import is_public, parse_url


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.100.100.200",
        "0.0.0.1",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "192.0.0.9",
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "192.88.99.1",
        "168.63.129.16",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%lo",
        "fc00::1",
        "fd00:ec2::254",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "64:ff9b:1::808:808",
        "2002:7f00:1::1",
        "2002:a00:1::",
        "2001::1",
        "2001:0:7f00:1::",
        "2001:db8::1",
        "3fff::1",
        "5f00::1",
        "100::1",
        "2001:20::1",
        "4000::1",
    ],
)
def test_refused(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "1.1.1.1",
        "2606:4700:4700::1111",
        "2a00:1450::1",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2002:808:808::1",
        "2001:4860:4860::8888",
    ],
)
def test_allowed(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@given(st.ip_addresses(v=4))
def test_what_holds_an_ipv4_address_is_judged_by_it(inner: ipaddress.IPv4Address) -> None:
    number = int(inner)
    for outer in (
        (0xFFFF << 32) + number,
        (0x64FF9B << 96) + number,
        (0x2002 << 112) + (number << 80),
    ):
        assert is_public(ipaddress.IPv6Address(outer)) is is_public(inner)


@given(st.ip_addresses())
def test_never_wider_than_the_library(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if is_public(address):
        assert not address.is_private
        assert not address.is_multicast
        assert not address.is_loopback


@pytest.mark.parametrize(
    ("url", "place", "path"),
    [
        ("https://api.example.com/webhook", "api.example.com:443", "/webhook"),
        ("HTTP://API.Example.com:8080?a=b#c", "api.example.com:8080", "/?a=b"),
        ("http://192.0.2.1:65535", "192.0.2.1:65535", "/"),
        ("http://[2001:DB8::1]/x", "[2001:db8::1]:80", "/x"),
        ("https://bücher.example/ä?ö=%20", "xn--bcher-kva.example:443", "/%C3%A4?%C3%B6=%20"),
        ("https://host./", "host:443", "/"),
        ("https://my_host/", "my_host:443", "/"),
        ("https://a.example?u=x@y:z#@", "a.example:443", "/?u=x@y:z"),
        ("https://a.example/@x:y", "a.example:443", "/@x:y"),
    ],
)
def test_urls(url: str, place: str, path: str) -> None:
    target = parse_url(url)
    assert (target.place, target.path) == (place, path)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://a.example/",
        "file:///etc/passwd",
        "//a.example",
        "https://",
        "https:///x",
        "https://user@a.example/",
        "https://user:pw@a.example/",
        "https://a.example:0/",
        "https://a.example:65536/",
        "https://a.example:/",
        "https://a.example:8a/",
        "http://0x7f.1/",
        "http://2130706433/",
        "http://127.1/",
        "http://0177.0.0.1/",
        "http://0x7f000001/",
        "http://127.0.0.1.1/",
        "http://127.0.0.08/",
        "http://\uff11\uff12\uff17.1/",
        "http://[::1%lo]/",
        "http://[fe80::1%25lo]/",
        "http://[127.0.0.1]/",
        "http://::1/",
        "http://a b/",
        "http://a.example/a b",
        "http://a.example\\@b.example/",
        "http://a%2eb/",
        "http://a..b/",
        "http://-a.example/",
        "http://a.example/\r\nX: y",
        "http://a.example\n",
        "http://a.example/\x00",
        "http://" + "a." * 130 + "b/",
        "http://a.example/" + "x" * 2000,
        "http://a.example/\ud800",
        "http://.",
        "http://\u2488.example.com/",
    ],
)
def test_refused_urls(url: str) -> None:
    with pytest.raises(InvalidPayload) as caught:
        parse_url(url)
    assert caught.value.field == "url"
