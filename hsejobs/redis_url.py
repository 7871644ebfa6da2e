"""Parse and check Redis URLs.

Imports only the standard library, as ``hsejobs.settings`` does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, cast, get_args
from urllib.parse import unquote, urlsplit

Scheme = Literal[
    "redis",
    "rediss",
    "unix",
    "redis+sentinel",
    "rediss+sentinel",
    "redis+cluster",
    "rediss+cluster",
]

_DEFAULT_PORT = {"redis": 6379, "redis+sentinel": 26379, "redis+cluster": 6379}
_HOST = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.%]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?"
)
_TLS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname")
_SENTINEL = ("sentinel_username", "sentinel_password")
#: The options that a query may have; ``_options`` checks which scheme accepts which.
OPTIONS = ("db", "username", "password", *_TLS, *_SENTINEL)


class TLS(NamedTuple):
    """How the server's certificate is checked, and which client certificate is sent.

    Paths are as given. Without ``ca_certs`` the system's certificate authorities are trusted.
    ``check_hostname``: whether the certificate must match the host name.
    """

    ca_certs: str | None = None
    certfile: str | None = None
    keyfile: str | None = None
    verify: bool = True
    check_hostname: bool = True


@dataclass(frozen=True, slots=True)
class RedisURL:
    """The parts of a Redis URL, percent-decoded.

    ``scheme`` is without the ``s`` of TLS; ``tls`` is None for a connection without TLS.
    ``hosts`` are (host, port) pairs, empty for a unix socket; ``path`` is the socket's path.
    ``service`` is the name of the primary that the sentinels watch. ``username`` and
    ``password`` are for the servers, the ``sentinel_`` ones for the sentinels.
    """

    scheme: Literal["redis", "unix", "redis+sentinel", "redis+cluster"]
    hosts: tuple[tuple[str, int], ...]
    username: str | None
    password: str | None = field(repr=False)
    db: int
    path: str
    service: str
    tls: TLS | None
    sentinel_username: str | None
    sentinel_password: str | None = field(repr=False)


def parse_redis_url(url: str) -> RedisURL:
    """Parses *url*.

    Forms: ``redis://[user:password@]host[:port][/db]``,
    ``redis+sentinel://host:port,host:port/service[/db]``,
    ``redis+cluster://host:port[,host:port]``, each with ``rediss`` for TLS, and
    ``unix:///path/to/socket[?db=0]``. ``?db=`` takes precedence over a database in the path.

    Raises ValueError, whose text says what is wrong, names the option concerned, and
    never repeats a value. Reads no files: see ``check_redis_url``.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in get_args(Scheme):
        raise ValueError(
            "must begin with redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://"
            " (rediss+sentinel:// and rediss+cluster:// with TLS)"
        )
    if re.search(r"[\s\x00-\x1f#]", rest):
        raise ValueError(
            "must not contain spaces, control characters or a fragment: percent-encode them"
        )
    try:
        parts = urlsplit(f"x://{rest}")
    except ValueError:
        # The original text repeats the part with the password.
        raise ValueError("must name a host, by its name or address") from None
    secure = scheme.startswith("rediss")
    kind = scheme.replace("rediss", "redis", 1)
    path = parts.path
    user_info, _, addresses = parts.netloc.rpartition("@")
    username, _, password = (_decoded(part) for part in user_info.partition(":"))
    service = ""
    hosts: tuple[tuple[str, int], ...] = ()
    in_path = ""
    if kind == "unix":
        if addresses or len(path) < 2:
            raise ValueError(
                "must have an absolute path after unix://, as in unix:///run/redis.sock"
            )
    else:
        hosts = tuple(_host(part, _DEFAULT_PORT[kind]) for part in addresses.split(","))
        if kind == "redis" and len(hosts) > 1:
            raise ValueError("must name one host only, or begin with redis+sentinel://")
        in_path = path.strip("/")
        if kind == "redis+sentinel":
            service, _, in_path = in_path.partition("/")
            if not re.fullmatch(r"[A-Za-z0-9._-]+", service := _decoded(service)):
                raise ValueError("must name the service after the hosts, as in /mymaster/0")
    options = _options(parts.query, secure=secure, sentinel=kind == "redis+sentinel")
    db = _database(options.get("db", in_path))
    if kind == "redis+cluster" and db:
        raise ValueError("must select database 0 or none: a cluster has no other")
    return RedisURL(
        scheme=cast(Literal["redis", "unix", "redis+sentinel", "redis+cluster"], kind),
        hosts=hosts,
        username=options.get("username") or username or None,
        password=options.get("password") or password or None,
        db=db,
        path=_decoded(path) if kind == "unix" else "",
        service=service,
        tls=_tls(options) if secure else None,
        sentinel_username=options.get("sentinel_username"),
        sentinel_password=options.get("sentinel_password"),
    )


def check_redis_url(url: str) -> RedisURL:
    """As ``parse_redis_url``, and also loads the certificate and key files that the URL names.

    Raises ValueError, also for a file that cannot be loaded.
    """
    parsed = parse_redis_url(url)
    if parsed.tls is not None:
        _check_files(parsed.tls)
    return parsed


def _options(query: str, *, secure: bool, sentinel: bool) -> dict[str, str]:
    """The query's options. "+" is not decoded to a space: passwords and paths contain it more often."""
    found: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        name, _, text = pair.partition("=")
        if name not in OPTIONS:
            raise ValueError(_unknown(name, query))
        if name in found:
            raise ValueError(f"has the option {name} twice")
        if name in _TLS and not secure:
            raise ValueError(f"has the option {name}, which needs a scheme with TLS: rediss")
        if name in _SENTINEL and not sentinel:
            raise ValueError(f"has the option {name}, which only redis+sentinel:// takes")
        value = _decoded(text)
        # An empty password means no password, as it does before the host.
        if not value and name not in ("username", "password"):
            raise ValueError(f"has the option {name} without a value")
        found[name] = value
    return found


def _unknown(name: str, query: str) -> str:
    # A "?" that should have been percent-encoded leaves the rest of a password in the query.
    if "@" in query or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,39}", name):
        return (
            "has an unknown option;"
            " in a password, percent-encode @, /, ?, # and & as %40, %2F, %3F, %23 and %26"
        )
    return f"has the unknown option {name}; it must be one of {', '.join(OPTIONS)}"


def _tls(options: dict[str, str]) -> TLS:
    verify = _word(options, "ssl_cert_reqs", {"required": True, "none": False})
    check_hostname = _word(
        options, "ssl_check_hostname", {"true": True, "1": True, "false": False, "0": False}
    )
    if not verify and "ssl_check_hostname" in options and check_hostname:
        raise ValueError("has the option ssl_check_hostname, which ssl_cert_reqs=none contradicts")
    if "ssl_keyfile" in options and "ssl_certfile" not in options:
        raise ValueError("has the option ssl_keyfile, which needs ssl_certfile too")
    return TLS(
        ca_certs=options.get("ssl_ca_certs"),
        certfile=options.get("ssl_certfile"),
        keyfile=options.get("ssl_keyfile"),
        verify=verify,
        check_hostname=verify and check_hostname,
    )


def _word(options: dict[str, str], name: str, meaning: dict[str, bool]) -> bool:
    """The option's value as a bool; the first word of ``meaning`` is the default."""
    value = options.get(name, next(iter(meaning)))
    if value.lower() not in meaning:
        raise ValueError(f"has the option {name}, which must be {' or '.join(meaning)}")
    return meaning[value.lower()]


def _check_files(tls: TLS) -> None:
    # Load the files as a connection will, to report errors early.
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if tls.ca_certs is not None:
        _load(
            "ssl_ca_certs",
            "a PEM file of certificates",
            lambda: context.load_verify_locations(tls.ca_certs),
        )
    if tls.certfile is not None:
        certfile = tls.certfile
        # For an encrypted key OpenSSL would prompt on the terminal; the empty password prevents that.
        _load(
            "ssl_certfile" if tls.keyfile is None else "ssl_certfile or ssl_keyfile",
            "a certificate and its key in PEM form, without a passphrase",
            lambda: context.load_cert_chain(certfile, tls.keyfile, password=lambda: b""),
        )


def _load(name: str, wanted: str, load: Callable[[], None]) -> None:
    try:
        load()
    except (OSError, ValueError):
        # The texts of the system and of OpenSSL do not tell an operator more than this.
        raise ValueError(f"has the option {name}, which must be the path of {wanted}") from None


def _decoded(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ValueError("must be percent-encoded UTF-8") from None


def redact_url(url: str) -> str:
    """*url*, of any kind, for display: passwords and secret query values become ``***``."""
    # The last "@" ends the user info even when the password was not percent-encoded.
    url = re.sub(r"(?s)^([^:/?#]+://[^:@/]*):.*@", r"\1:***@", url)
    return re.sub(r"(?i)([?&][^=&]*(?:passw|secret|token|key(?!file))[^=&]*=)[^&#]*", r"\1***", url)


def _host(text: str, default_port: int) -> tuple[str, int]:
    match = _HOST.fullmatch(text or "localhost")
    if match is None or not 0 < int(match["port"] or default_port) < 65536:
        raise ValueError("must name a valid host, as host or host:port with a port from 1 to 65535")
    return match["six"] or match["name"], int(match["port"] or default_port)


def _database(text: str) -> int:
    if not re.fullmatch(r"[0-9]{0,6}", text):
        raise ValueError("must have a whole number of at most 6 digits as its database")
    return int(text or 0)
