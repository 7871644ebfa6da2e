"""Measure the CPU time of every parser of tenants' input, with hostile input of the largest size.

``python -m benchmarks.hostile`` gives every reader 100 KB of every shape and prints one JSON
document; it ends with 1 when one took longer than ``--limit`` ms. ``--bytes 400000`` makes the
shapes larger: what is not linear then takes sixteen times as long, or more.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from hsejobs.errors import InvalidInput

SIZE = 100_000
LIMIT_MS = 50.0


def _filled(unit: str, size: int) -> str:
    """Return ``unit`` repeated to the size of a payload in bytes, not characters."""
    return unit * (size // len(unit.encode()))


def _numbered(unit: str, size: int) -> str:
    """Return ``unit`` repeated with different numbers: finds comparisons with all previous ones."""
    return "".join(unit.format(n) for n in range(size // (len(unit) + 2)))


#: Repeated to fill the size: unterminated markup, deep nesting, and elements that rebuild the tree.
_UNITS = (
    "<a ",
    "<a href=",
    '<a href="',
    "<a b=c ",
    "<!--",
    "<!-- -",
    "<!",
    "<?",
    "</",
    "</a ",
    "<",
    "<<a>",
    "<![CDATA[",
    "<!doctype ",
    "&",
    "&#",
    "&#x",
    "&#x110000",
    "&#9",
    "&amp",
    "&a",
    "&notit;",
    "&a;",
    "<div>",
    "<p>",
    "<br>",
    "<ul><li>",
    "<li>",
    "<dl><dd>",
    "<h1>",
    "<table>",
    "<table><tr><td>",
    "<table>x<b>",
    "<table><b>",
    "<table><div>",
    "<td><b>",
    "<select>",
    "<select><option>",
    "<b><i>",
    "<b><p>",
    "<b><p></b>",
    "<a><b><p></a>",
    "<b><i><u><p></b></i></u>",
    "<a>",
    "<a><div>",
    "<a href=http://x>y</a>",
    "<nobr>",
    "<button>",
    "<form>",
    "<template>",
    "<svg>",
    "<svg><p>",
    "<svg><title>",
    "<math><mi>",
    "<style>",
    "<script>",
    "<title>",
    "<textarea>",
    "<plaintext>",
    "<script><!--<script>",
    "<iframe>",
    "\0",
    " ",
    "\n",
    "\r\n",
    "\t ",
    "\xa0 ",
    "<p> ",
    "> ",
    "\u0301",
    "\ufdfa",
    "a\u0315\u0301\u0345",
    "\U0001f600",
    "\u202e",
    "=?utf-8?q?=0a?= ",
    "a@",
    "a@b.c, ",
    '"',
    "\\",
    "<a@b>",
    "a.",
    "a-",
    "xn--",
    "9",
    "0",
    "[",
    "{",
    "'",
    "%",
    "http://",
    "//",
    "ab ",
    ".\r\n",
    "From ",
    "-- \n",
)


def shapes(size: int) -> dict[str, str]:
    """Return every hostile text of about ``size`` characters by its name."""
    half = size // 2
    found = {f"{unit!r}...": _filled(unit, size) for unit in _UNITS}
    return found | {
        "a tag with many attributes": "<a " + _numbered("a{}=1 ", size) + ">",
        "a body tag each with another attribute": _numbered("<body a{}>", size),
        "a font tag each with another attribute": _numbered("<p><font a{}>", size),
        "an attribute without an end": '<a href="' + _filled("x", size),
        "a comment without an end": "<!--" + _filled("- ", size),
        "opened, and closed by others": _filled("<x>", half) + _filled("</y>", half),
        "opened and closed": _filled("<b>", half) + _filled("</b>", half),
        "links opened and closed": _filled("<a href=http://x>", half) + _filled("</a>", half),
        "a number without an end": "&#" + _filled("9", size),
        "a hexadecimal number without an end": "&#x" + _filled("f", size),
        "marks on one letter": "a" + _filled("\u0315\u0301\u0345", size),
        "many marks, many letters": _filled("a" + "\u0301\u0323" * 20, size),
    }


def readers() -> dict[str, Callable[[str], object]]:
    """Return every parser of a tenant's text by its name."""
    return _readers_of_mail() | _other_readers()


def _parts(text: str) -> list[str]:
    return [text[at : at + 7] for at in range(0, len(text), 7)]


def _readers_of_mail() -> dict[str, Callable[[str], object]]:
    from hsejobs.services.mail import address, attachments, plaintext, render
    from hsejobs.services.mail.payload import EmailPayload

    mail: dict[str, Any] = {"to": "a@example.com", "subject": "x", "text": "y"}

    def email(**change: Any) -> object:
        return EmailPayload.model_validate(mail | change)

    def whole(field: str) -> Callable[[str], object]:
        return lambda text: _mail(EmailPayload.model_validate({**mail, "text": None, field: text}))

    return {
        "html_to_text": plaintext.html_to_text,
        "mail with html": whole("html"),
        "mail with text": whole("text"),
        "mail: subject": lambda text: email(subject=text),
        "mail: subject of 998": lambda text: _mail(
            EmailPayload.model_validate(mail | {"subject": text[:998]})
        ),
        "mail: to": lambda text: email(to=text),
        "mail: to in pieces": lambda text: email(to=_parts(text)),
        "mail: to with a name": lambda text: email(to={"name": text, "address": "a@b.example"}),
        "mail: from": lambda text: email(**{"from": text}),
        "mail: file name": lambda text: email(attachments=[{"artifactId": "a", "filename": text}]),
        "mail: artifact id": lambda text: email(attachments=[{"artifactId": text}]),
        "mail: template": lambda text: email(text=None, template=text),
        "template": lambda text: render.render("welcome", {"name": text, "loginUrl": text}),
        "template with a token": lambda text: render.render(
            "tenant-welcome", {"name": "a", "organization": text, "inviteUrl": text, "token": text}
        ),
        "address": lambda text: address.parse_address(text, "to"),
        "address: local part": lambda text: address.parse_address(f"{text}@a.example", "to"),
        "address: domain": lambda text: address.parse_address(f"a@{text}", "to"),
        "address: name": lambda text: address.parse_address(f'"{text}" <a@a.example>', "to"),
        "addresses": address.split_addresses,
        "mask_address": address.mask_address,
        "addresses in a reply": lambda text: address.mask_addresses_in(text[:2000]),
        "safe_filename": lambda text: attachments.safe_filename(text[:1000]),
    }


def _other_readers() -> dict[str, Callable[[str], object]]:
    from hsejobs import cells, codec, masking
    from hsejobs.error_groups import normalized
    from hsejobs.services.hosts import ascii_host
    from hsejobs.services.webhooks import stringify
    from hsejobs.services.webhooks.address import parse_url
    from hsejobs.services.webhooks.head import HeadFilter
    from hsejobs.services.webhooks.payload import WebhookPayload
    from tasks.reports import document, filters

    call: dict[str, Any] = {"url": "https://a.example/", "payload": {}, "eventType": "a"}

    return {
        "ascii_host": ascii_host,
        "ascii_host of 253": lambda text: ascii_host(text[:253]),
        "url": parse_url,
        "url: host": lambda text: parse_url(f"https://{text[:1900]}/"),
        "url: path": lambda text: parse_url(f"https://a.example/{text[:1900]}"),
        "webhook": lambda text: WebhookPayload.model_validate(call | {"payload": {text: [text]}}),
        "webhook: keys": lambda text: WebhookPayload(
            **{**call, "payload": dict.fromkeys(_parts(text))}
        ),
        "webhook: secret": lambda text: WebhookPayload.model_validate(call | {"secret": text}),
        "stringify": lambda text: stringify.stringify(
            stringify.plain({"a": text, text: _parts(text)})
        ),
        "webhook: answer's head": lambda text: HeadFilter().feed(text.encode(errors="replace")),
        "JSON": lambda text: codec.strict(text.encode()),
        "JSON text": lambda text: codec.strict(codec.dumps({text: text})),
        "mask": lambda text: masking.mask({text: text, "token": _parts(text)}),
        "many secrets": lambda text: masking.scrub(
            text, masking.secret_values({"token": _parts(text)})
        ),
        "secrets in a result": lambda text: masking.scrub_data(
            {"a": _parts(text)}, masking.secret_values({"token": _parts(text)})
        ),
        "report filters": lambda text: filters.parse_filters(
            "compliance", {"startDate": text, "status": _parts(text), "stationId": text}
        ),
        "a cell of CSV": lambda text: cells.csv_rows([[text, _parts(text)]]),
        "a cell of a PDF": document.breakable,
        "error groups": lambda text: [normalized(text[at:]) for at in range(10)],
    }


def _mail(payload: Any) -> bytes:
    import datetime

    from hsejobs.services.mail import build_message

    message = build_message(
        payload,
        job_key="a",
        sender_default="a@a.example",
        allowed_domains=("a.example",),
        now=datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
    )
    return message.as_bytes()


def numbers(size: int) -> dict[str, str]:
    """Return hostile JSON values: numbers and nesting."""
    return {
        "an integer": _filled("9", size),
        "a fraction": "0." + _filled("9", size),
        "zeros": "0." + _filled("0", size) + "1",
        "an exponent": "1e" + _filled("9", size),
        "integers of 4,300 digits": "[" + ",".join(["9" * 4300] * (size // 4301)) + "]",
        "floats": "[" + ",".join(["1.7976931348623157e308"] * (size // 23)) + "]",
        "lists": "[" * (size // 2) + "]" * (size // 2),
        "objects": '{"a":' * (size // 6) + "1" + "}" * (size // 6),
        "keys": "{" + ",".join(f'"{n}":0' for n in range(size // 9)) + "}",
        "escapes": '"' + _filled("\\ud83d", size // 6 * 6) + '"',
    }


def measure(size: int, only: str = "", guard: int = 0) -> dict[str, dict[str, float]]:
    """Milliseconds of CPU by reader and shape; ``only``: the readers with that in their name.

    With ``guard`` the process is killed by the first reading that takes ``guard`` seconds of CPU;
    stderr's last line says which.
    """
    from hsejobs import codec

    known = readers()
    # Warm up: the first call of each loads modules and compiles patterns.
    for read in known.values():
        _timed(read, "a")
    found: dict[str, dict[str, float]] = {}
    texts = shapes(size)
    for name, read in known.items():
        if only in name:
            found[name] = {}
            for shape, text in texts.items():
                if guard:
                    sys.stderr.write(f"{name}: {shape}\n")
                    allow(guard)
                found[name][shape] = _timed(read, text, tries=1 if guard else 3)
    if only in "JSON numbers":
        found["JSON numbers"] = {
            shape: _timed(lambda text: codec.dumps(codec.strict(text.encode())), text)
            for shape, text in numbers(size).items()
        }
    return found


def allow(seconds: int) -> None:
    """Make the kernel kill this process (SIGXCPU) after ``seconds`` more of CPU time."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    until = int(spent.ru_utime + spent.ru_stime) + seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))


def _timed(read: Callable[[str], object], text: str, tries: int = 3) -> float:
    from pydantic import ValidationError

    best = float("inf")
    # CPU time and the best of three, to exclude other load.
    for _ in range(tries):
        begun = time.process_time()
        # A refusal is a valid result too.
        with contextlib.suppress(InvalidInput, ValidationError, ValueError, UnicodeError):
            read(text)
        best = min(best, (time.process_time() - begun) * 1000)
        if best < LIMIT_MS / 2 or best > LIMIT_MS * 4:
            break
    return round(best, 2)


def worst(found: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, Any]]:
    """Return the slowest shape of each parser, the slowest parser first."""
    slowest: dict[str, dict[str, Any]] = {
        name: {"shape": shape, "ms": ms}
        for name, times in found.items()
        for shape, ms in [max(times.items(), key=lambda item: item[1])]
    }
    return dict(sorted(slowest.items(), key=lambda item: item[1]["ms"], reverse=True))


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hostile", description=__doc__)
    parser.add_argument("--bytes", type=int, default=SIZE, help=f"of each text (default {SIZE})")
    parser.add_argument("--limit", type=float, default=LIMIT_MS, help="ms (default 50; 0 for none)")
    parser.add_argument("--guard", type=int, default=0, help="seconds of CPU that one may take")
    parser.add_argument("--only", default="", help="readers with this in their name")
    parser.add_argument("--all", action="store_true", help="every figure, not the worst alone")
    given = parser.parse_args(argv)
    found = measure(given.bytes, given.only, given.guard)
    slowest = worst(found)
    over = [name for name, one in slowest.items() if given.limit and one["ms"] > given.limit]
    count = sum(len(times) for times in found.values())
    answer = {"bytes": given.bytes, "readings": count, "over": over, "worst": slowest}
    if given.all:
        answer["all"] = found
    json.dump(answer, sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
