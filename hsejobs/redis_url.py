"""The forms in which a Redis can be named, taken apart and checked.

A light leaf beside ``hsejobs.settings``: the standard library only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, cast, get_args
from urllib.parse import parse_qsl, unquote, urlsplit

Scheme = Literal["redis", "rediss", "unix", "redis+sentinel", "redis+cluster"]

_DEFAULT_PORT = {"redis": 6379, "rediss": 6379, "redis+sentinel": 26379, "redis+cluster": 6379}
_HOST = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.%]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?"
)


@dataclass(frozen=True, slots=True)
class RedisURL:
    """A Redis URL in its parts, percent-decoded.

    ``hosts`` are (host, port) pairs, empty for a unix socket; ``path`` is the socket's;
    ``service`` the name of the primary that the sentinels watch.
    ``options`` is what the query says beside ``db``, ``username`` and ``password``.
    """

    scheme: Scheme
    hosts: tuple[tuple[str, int], ...]
    username: str | None
    password: str | None = field(repr=False)
    db: int
    path: str
    service: str
    options: tuple[tuple[str, str], ...] = field(repr=False)


def parse_redis_url(url: str) -> RedisURL:
    """Take *url* apart.

    Forms: ``redis://[user:password@]host[:port][/db]``, the same with ``rediss``,
    ``unix:///path/to/socket[?db=0]``, ``redis+sentinel://host:port,host:port/service[/db]``
    and ``redis+cluster://host:port[,host:port]``. ``?db=`` holds before a database in the path.

    Raises ValueError, whose text says what is wrong and repeats nothing of the URL.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in get_args(Scheme):
        raise ValueError(
            "must begin with redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://"
        )
    if re.search(r"[\s\x00-\x1f#]", rest):
        raise ValueError("must have no spaces, control characters or fragment: percent-encode them")
    try:
        parts = urlsplit(f"x://{rest}")
    except ValueError:
        # Its own text repeats the part with the password.
        raise ValueError("must name a host that is a name or an address") from None
    path = parts.path
    user_info, _, addresses = parts.netloc.rpartition("@")
    username, _, password = (unquote(part) for part in user_info.partition(":"))
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    service = ""
    hosts: tuple[tuple[str, int], ...] = ()
    if scheme == "unix":
        if addresses or len(path) < 2:
            raise ValueError(
                "must have an absolute path after unix://, as in unix:///run/redis.sock"
            )
        db = _database(query.pop("db", ""))
    else:
        hosts = tuple(_host(part, _DEFAULT_PORT[scheme]) for part in addresses.split(","))
        if scheme in ("redis", "rediss") and len(hosts) > 1:
            raise ValueError("must name one host only, or begin with redis+sentinel://")
        in_path = path.strip("/")
        if scheme == "redis+sentinel":
            service, _, in_path = in_path.partition("/")
            if not re.fullmatch(r"[A-Za-z0-9._-]+", service := unquote(service)):
                raise ValueError("must name the service after the hosts, as in /mymaster/0")
        db = _database(query.pop("db", "") or in_path)
        if scheme == "redis+cluster" and db:
            raise ValueError("a Cluster has database 0 only")
    return RedisURL(
        scheme=cast(Scheme, scheme),
        hosts=hosts,
        username=query.pop("username", "") or username or None,
        password=query.pop("password", "") or password or None,
        db=db,
        path=unquote(path) if scheme == "unix" else "",
        service=service,
        options=tuple(query.items()),
    )


def redact_url(url: str) -> str:
    """*url*, of any kind, for display: its password and secret query values are ``***``."""
    # The last "@" ends the user info even when the password was not percent-encoded.
    url = re.sub(r"(?s)^([^:/?#]+://[^:@/]*):.*@", r"\1:***@", url)
    return re.sub(r"(?i)([?&][^=&]*(?:passw|secret|token|key)[^=&]*=)[^&#]*", r"\1***", url)


def _host(text: str, default_port: int) -> tuple[str, int]:
    match = _HOST.fullmatch(text or "localhost")
    if match is None or not 0 < int(match["port"] or default_port) < 65536:
        raise ValueError("must name host:port with a port from 1 to 65535")
    return match["six"] or match["name"], int(match["port"] or default_port)


def _database(text: str) -> int:
    if not re.fullmatch(r"[0-9]{0,6}", text):
        raise ValueError("must have a whole number as its database")
    return int(text or 0)
