"""The pool of a single server is made without redis-py's client, and makes the same connections."""

from __future__ import annotations

from typing import Any

import pytest

from hsejobs.redis_url import parse_redis_url
from hsejobs.store import connect


@pytest.mark.parametrize(
    "url", ["redis://ann:secret@h:1234/3", "rediss://:secret@h/1", "unix:///s?db=2"]
)
def test_its_connections_are_those_of_redis_py_s_client(url: str) -> None:
    from redis.client import Redis

    parsed = parse_redis_url(url)
    client: Any = Redis
    place: dict[str, Any] = (
        {"unix_socket_path": parsed.path}
        if parsed.scheme == "unix"
        else dict(zip(("host", "port"), parsed.hosts[0], strict=True))
    )
    login = connect._login(parsed.username, parsed.password)
    theirs = client(db=parsed.db, **place, **connect._common(parsed), **login)
    made, known = (one.connection_pool.make_connection() for one in (connect.connect(url), theirs))
    assert type(made) is type(known)
    plain = (str, int, float, bool, dict, type(None))
    settings = [
        {name: value for name, value in vars(one).items() if isinstance(value, plain)}
        for one in (made, known)
    ]
    if parsed.scheme == "unix":
        # Their client drops it.
        assert settings[0].pop("_socket_connect_timeout") == connect.CONNECT_TIMEOUT
        del settings[1]["_socket_connect_timeout"]
    assert settings[0] == settings[1]
    assert settings[0]["db"] == parsed.db


def test_a_client_is_closed_with_its_block(redis_url: str) -> None:
    with connect.connect(redis_url) as client:
        assert client.ping()
    assert repr(client).startswith("<redis.client.Redis")
