"""The forms in which a Redis can be named, taken apart and checked.

A light leaf beside ``hsejobs.settings``: the standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, cast, get_args
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
#: The options that a query may have; which scheme takes which is ``_options``' to say.
OPTIONS = ("db", "username", "password", *_TLS, *_SENTINEL)


@dataclass(frozen=True, slots=True)
class TLS:
    """How the server's certificate is checked, and which one is shown to the server.

    Paths are as given. Without ``ca_certs`` the machine's own authorities are believed.
    ``check_hostname``: whether the certificate must be for the host that was dialled.
    """

    ca_certs: str | None = None
    certfile: str | None = None
    keyfile: str | None = None
    verify: bool = True
    check_hostname: bool = True


@dataclass(frozen=True, slots=True)
class RedisURL:
    """A Redis URL in its parts, percent-decoded.

    ``scheme`` is without the ``s`` of TLS, which ``tls`` stands for (None: no TLS).
    ``hosts`` are (host, port) pairs, empty for a unix socket; ``path`` is the socket's;
    ``service`` the name of the primary that the sentinels watch. ``username`` and
    ``password`` log in at the servers, the ``sentinel_`` ones at the sentinels.
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
    """Take *url* apart.

    Forms: ``redis://[user:password@]host[:port][/db]``,
    ``redis+sentinel://host:port,host:port/service[/db]``,
    ``redis+cluster://host:port[,host:port]``, each with ``rediss`` for TLS, and
    ``unix:///path/to/socket[?db=0]``. ``?db=`` holds before a database in the path.

    Raises ValueError, whose text says what is wrong, names the option if it is one, and
    repeats no value. Reads no file: see ``check_redis_url``.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in get_args(Scheme):
        raise ValueError(
            "must begin with redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://"
            " (rediss+sentinel:// and rediss+cluster:// with TLS)"
        )
    if re.search(r"[\s\x00-\x1f#]", rest):
        raise ValueError("must have no spaces, control characters or fragment: percent-encode them")
    try:
        parts = urlsplit(f"x://{rest}")
    except ValueError:
        # Its own text repeats the part with the password.
        raise ValueError("must name a host that is a name or an address") from None
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
        raise ValueError("a Cluster has database 0 only")
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
    """``parse_redis_url``, and the files that it names are read and must be what they should be.

    Raises ValueError likewise.
    """
    parsed = parse_redis_url(url)
    if parsed.tls is not None:
        _check_files(parsed.tls)
    return parsed


def _options(query: str, *, secure: bool, sentinel: bool) -> dict[str, str]:
    """The query's options. "+" is itself: passwords and paths have it more often than spaces."""
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
        # A password that is empty is none, as in the part before the host.
        if not value and name not in ("username", "password"):
            raise ValueError(f"has the option {name} without a value")
        found[name] = value
    return found


def _unknown(name: str, query: str) -> str:
    # A "?" that should have been percent-encoded leaves the rest of a password in the query.
    if "@" in query or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,39}", name):
        return (
            "has an option that is not understood;"
            " in a password, percent-encode @, /, ?, # and & as %40, %2F, %3F, %23 and %26"
        )
    return f"has the option {name}, which is not understood; known are {', '.join(OPTIONS)}"


def _tls(options: dict[str, str]) -> TLS:
    verify = _word(options, "ssl_cert_reqs", {"required": True, "none": False})
    check_hostname = _word(
        options, "ssl_check_hostname", {"true": True, "1": True, "false": False, "0": False}
    )
    if not verify and "ssl_check_hostname" in options and check_hostname:
        raise ValueError("has the option ssl_check_hostname, which ssl_cert_reqs=none contradicts")
    if "ssl_keyfile" in options and "ssl_certfile" not in options:
        raise ValueError("has the option ssl_keyfile, but no ssl_certfile that it is the key of")
    return TLS(
        ca_certs=options.get("ssl_ca_certs"),
        certfile=options.get("ssl_certfile"),
        keyfile=options.get("ssl_keyfile"),
        verify=verify,
        check_hostname=verify and check_hostname,
    )


def _word(options: dict[str, str], name: str, meaning: dict[str, bool]) -> bool:
    """What the option says; the first of the words unless it is given."""
    value = options.get(name, next(iter(meaning)))
    if value.lower() not in meaning:
        raise ValueError(f"has the option {name}, which must be {' or '.join(meaning)}")
    return meaning[value.lower()]


def _check_files(tls: TLS) -> None:
    # What a connection will do with them, done once before.
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
        # A key alone is asked for on the terminal when it is encrypted; an empty answer ends that.
        _load(
            "ssl_certfile" if tls.keyfile is None else "ssl_certfile or ssl_keyfile",
            "a certificate and the key of it in PEM form, without a passphrase",
            lambda: context.load_cert_chain(certfile, tls.keyfile, password=lambda: b""),
        )


def _load(name: str, wanted: str, load: Callable[[], None]) -> None:
    try:
        load()
    except (OSError, ValueError):
        # Neither the system's text nor OpenSSL's tells an operator more than this.
        raise ValueError(f"has the option {name}, which must be the path of {wanted}") from None


def _decoded(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ValueError("must be UTF-8 where it is percent-encoded") from None


def redact_url(url: str) -> str:
    """*url*, of any kind, for display: its password and secret query values are ``***``."""
    # The last "@" ends the user info even when the password was not percent-encoded.
    url = re.sub(r"(?s)^([^:/?#]+://[^:@/]*):.*@", r"\1:***@", url)
    return re.sub(r"(?i)([?&][^=&]*(?:passw|secret|token|key(?!file))[^=&]*=)[^&#]*", r"\1***", url)


def _host(text: str, default_port: int) -> tuple[str, int]:
    match = _HOST.fullmatch(text or "localhost")
    if match is None or not 0 < int(match["port"] or default_port) < 65536:
        raise ValueError("must name host:port with a port from 1 to 65535")
    return match["six"] or match["name"], int(match["port"] or default_port)


def _database(text: str) -> int:
    if not re.fullmatch(r"[0-9]{0,6}", text):
        raise ValueError("must have a whole number as its database")
    return int(text or 0)
