"""Parse SMTP_URL: the server, its TLS mode and the login."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from hsejobs.errors import SettingsError
from hsejobs.services.hosts import ascii_host

VARIABLE = "SMTP_URL"
DEFAULT_PORTS = {"smtp": 587, "smtps": 465}

Tls = Literal["offered", "required", "never", "implicit"]


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """A mail server as SMTP_URL names it.

    ``tls``: ``implicit`` from the first byte; otherwise STARTTLS if the server
    offers it (``offered``), always (``required``) or ``never``. ``verify``:
    whether the server's certificate must be valid for ``host``.
    """

    host: str
    port: int
    tls: Tls
    verify: bool = True
    user: str | None = None
    password: str | None = field(default=None, repr=False)


def parse_smtp_url(url: str) -> SmtpServer:
    """Parse ``smtp[s]://[user:password@]host[:port][?starttls=...&verify=0|1]``.

    User and password are percent-decoded. The default port is 587 for smtp and
    465 for smtps. ``starttls`` is ``required`` or ``never``, for smtp only.
    ``verify=0`` accepts any certificate.

    Raises `SettingsError` for ``SMTP_URL``; the message never repeats the URL.
    """
    try:
        parts = urlsplit(url)
        host, port = ascii_host(parts.hostname or ""), parts.port
        user, password = _decoded(parts.username), _decoded(parts.password)
        options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    except ValueError:
        problem = "is not a valid URL; percent-encode special characters in user and password"
        raise SettingsError(VARIABLE, problem) from None
    if parts.scheme not in DEFAULT_PORTS:
        raise SettingsError(VARIABLE, "must begin with smtp:// or smtps://")
    if not host or parts.path not in {"", "/"} or parts.fragment or host.startswith("."):
        raise SettingsError(VARIABLE, "must be smtp://user:password@host:port")
    if port == 0:
        raise SettingsError(VARIABLE, "the port must be 1 to 65535")
    if (user is None) != (password is None):
        raise SettingsError(VARIABLE, "user and password must be given together")
    tls = _tls(parts.scheme, options.pop("starttls", None))
    verify = options.pop("verify", "1")
    if verify not in {"0", "1"}:
        raise SettingsError(VARIABLE, "verify must be 0 or 1")
    if options:
        raise SettingsError(VARIABLE, "the only options are starttls and verify")
    return SmtpServer(host, port or DEFAULT_PORTS[parts.scheme], tls, verify == "1", user, password)


def _tls(scheme: str, starttls: str | None) -> Tls:
    if scheme == "smtps":
        if starttls is not None:
            raise SettingsError(VARIABLE, "starttls is an option of smtp:// only")
        return "implicit"
    if starttls == "required":
        return "required"
    if starttls == "never":
        return "never"
    if starttls is None:
        return "offered"
    raise SettingsError(VARIABLE, "starttls must be required or never")


def _decoded(text: str | None) -> str | None:
    return None if text is None else unquote(text, errors="strict")
