"""The text that is generated for a mail with HTML only, however the HTML is written."""

from __future__ import annotations

import pytest

from hsejobs.services.mail.attachments import safe_filename
from hsejobs.services.mail.plaintext import html_to_text
from hsejobs.services.mail.text import unescape_html


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("a < b and b > c", "a < b and b > c"),
        ("<p>Hi<p>there", "Hi\n\nthere"),
        ("<html><head><title>x</title><body>Hi", "Hi"),
        ("<TITLE>x</Title>Hi", "Hi"),
        ("a<script>if (1 < 2) '</p>'</script>b", "ab"),
        ("a<style>x</style >b", "ab"),
        ("a<style>no end", "a"),
        ("a<template><p>x<template>y</template>z</template>b", "ab"),
        ("a<!-- <p> -->b<!-->c<!--->d<!-- x --!>e<!bogus>f<?pi x>g</ x>h", "abcdefgh"),
        ("a<!-- no end", "a"),
        ("a<p no end", "a"),
        ('a<p title="no end>b', "a"),
        ('a<p title="x > y">b', "a\n\nb"),
        ("a<p title='x > y' class=z>b", "a\n\nb"),
        ("a<p a=b/>b", "a\n\nb"),
        ("a<br/>b<BR>c", "a\nb\nc"),
        ("<ul><li>one<li>two</ul>", "- one\n- two"),
        ("<tr><td>a</td><td>b</td></tr>", "a b"),
        ('<a href="https://x.example/?a=1&amp;b=2">go</a>', "go (https://x.example/?a=1&b=2)"),
        ("<a href=https://x.example>https://x.example</a>", "https://x.example"),
        (
            "<a href='http://x.example'>a<a href='http://y.example'>b</a>c",
            "a (http://x.example)b (http://y.example)c",
        ),
        (
            "<a href=javascript:x>a</a> <a HREF = 'http://x.example' href=http://y>b",
            "a b (http://x.example)",
        ),
        ("<a href='http://x.example'>never closed", "never closed (http://x.example)"),
        ("a &amp; b &#65; &#x42; &nbsp;&unknown; &", "a & b A B &unknown; &"),
        ("<p>  a  </p>\n\n\n<p> b </p>", "a\n\nb"),
        ("", ""),
    ],
)
def test_what_html_says(html: str, text: str) -> None:
    assert html_to_text(html) == text + "\n"


def test_a_file_name_fits_any_disk() -> None:
    name = safe_filename("\U0001f600" * 150 + ".pdf")
    assert name == "\U0001f600" * 59 + ".pdf"
    assert safe_filename("." + "\U0001f600" * 150) == "\U0001f600" * 60
    assert safe_filename("x" * 200 + ".pdf") == "x" * 146 + ".pdf"


@pytest.mark.parametrize("digits", [9, 10, 4300, 4301, 100_000])
def test_a_number_of_any_length_is_one_character(digits: int) -> None:
    assert unescape_html(f"a&#{'9' * digits};b") == "a\ufffdb"
    assert unescape_html(f"a&#{'0' * digits}65;b") == "aAb"
    assert html_to_text(f"<a href='http://&#{'9' * digits};'>x</a>").startswith("x (http://")
