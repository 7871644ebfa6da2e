"""Our own connections do what redis-py's do, whatever the server sends, in fewer calls."""

from __future__ import annotations

import contextlib
import gc
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from redis.connection import Connection, UnixDomainSocketConnection
from redis.exceptions import RedisError

from hsejobs.store import adds
from hsejobs.store.new_job import NewJob
from hsejobs.store.quick import quick
from hsejobs.store.replies import classify, code_of
from hsejobs.store.scripts import ADD
from hsejobs.store.words import packed

#: Seconds after which a reply is late.
LATE = 0.3
BIG = b"x" * 200_000

#: What a server sends for one command, in pieces; an empty piece at the end closes the connection.
REPLIES: dict[str, list[bytes]] = {
    "a text": [b"$2\r\n1w\r\n"],
    "nothing": [b"$-1\r\n"],
    "a number": [b":7\r\n"],
    "an array in pieces": [b"*2\r\n$1\r\na", b"\r\n:", b"5\r\n"],
    "a long text in pieces": [b"$200000\r\n", BIG[:70_000], BIG[70_000:], b"\r\n"],
    "an error": [b"-ERR wrong\r\n"],
    "an error with a code": [b"-NOSCRIPT none\r\n"],
    "an error of a full server": [b"-OOM command not allowed\r\n"],
    "an error that ends a connection": [b"-LOADING not yet\r\n"],
    "an error of a login": [b"-NOAUTH no\r\n"],
    "an error of a right": [b"-NOPERM no\r\n"],
    "an error in an array": [b"*2\r\n$1\r\na\r\n-ERR wrong\r\n"],
    "rubbish": [b"?what\r\n"],
    "the end": [b""],
    "the end in the middle": [b"$5\r\nab", b""],
    "too late": [],
    "too late in the middle": [b"$5\r\nab"],
}


@pytest.fixture
def place() -> Iterator[tuple[socket.socket, int]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server, server.getsockname()[1]


def _answer(server: socket.socket, pieces: list[bytes], ended: threading.Event) -> None:
    peer, _ = server.accept()
    with peer:
        for piece in (pieces[0], *pieces[1:]) if pieces else ():
            peer.recv(65_536, socket.MSG_PEEK)
            if not piece:
                # What was read no one waits for; what was not would be answered by a reset.
                peer.recv(65_536)
                return
            peer.sendall(piece)
        ended.wait(10)


def _ask(kind: type[Any], place: tuple[socket.socket, int], pieces: list[bytes]) -> tuple[Any, ...]:
    server, port = place
    ended = threading.Event()
    thread = threading.Thread(target=_answer, args=(server, pieces, ended))
    thread.start()
    connection = kind(port=port, socket_timeout=LATE, protocol=2, driver_info=None)
    try:
        # The login of redis-py says nothing here.
        connection.connect_check_health(check_health=False)
        connection.send_packed_command(packed(("PING",)), check_health=False)
        said: Any = connection.read_response()
        found: tuple[Any, ...] = ("reply", said)
    except Exception as error:
        found = ("error", classify(error), code_of(error))
    finally:
        ended.set()
        thread.join()
    found = (*found, connection.is_connected)
    connection.disconnect()
    return found


@pytest.mark.parametrize("name", REPLIES)
def test_a_reply_is_what_it_is_to_redis_py(name: str, place: tuple[socket.socket, int]) -> None:
    assert quick(Connection) is not Connection
    seen = [_ask(kind, place, REPLIES[name]) for kind in (Connection, quick(Connection))]
    assert repr(seen[0]) == repr(seen[1])


@pytest.mark.parametrize("name", ["an error", "an error that ends a connection"])
def test_an_error_reply_is_freed_without_a_search_for_garbage(
    name: str, place: tuple[socket.socket, int]
) -> None:
    gc.collect()
    gc.disable()
    try:
        _ask(quick(Connection), place, REPLIES[name])
        left = [one for one in gc.get_objects() if isinstance(one, RedisError)]
    finally:
        gc.enable()
    assert left == []


def test_a_connection_that_cannot_be_written_to_is_closed(place: tuple[socket.socket, int]) -> None:
    server, port = place
    seen = []
    for kind in (Connection, quick(Connection)):
        for cut in (True, False):
            connection: Any = kind(port=port, socket_timeout=LATE, protocol=2, driver_info=None)
            connection.connect()
            peer, _ = server.accept()
            if cut:
                connection._sock.shutdown(socket.SHUT_WR)
            with contextlib.closing(peer), pytest.raises(Exception) as error:  # noqa: PT011
                # Of the second, no one reads what is more than the buffers hold.
                connection.send_packed_command([BIG * 100], check_health=False)
            seen.append((cut, classify(error.value), connection.is_connected))
    assert seen[:2] == seen[2:]


def test_a_class_with_its_own_way_to_read_keeps_it() -> None:
    class Own(Connection):
        def read_response(self, *args: Any, **options: Any) -> Any:
            return "own"

    assert quick(Own) is Own
    assert issubclass(quick(UnixDomainSocketConnection), UnixDomainSocketConnection)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"organization_id": "Zürich $3\r\n", "user_id": "u", "role": "admin", "key": "k"},
        {"nonce": "0123456789a", "delay": 5, "tenant_backlog": 7, "family": "q/one q/two"},
        {"extras": b"{}\r\n", "signature": "a"},
        {"trace": "r-1 00-01"},
    ],
    ids=str,
)
def test_the_line_of_an_add_has_the_words_of_its_script(values: dict[str, Any]) -> None:
    for number in range(2):
        job = NewJob(f"id{number}", "m.t", b'{"n":%d}' % number, 3, 1, 0, 60_000, **values)
        words = ("EVALSHA", ADD.sha, 1, "p:{q}:", *adds.args((ADD, [job])))
        assert [adds.line("p:{q}:", job)] == packed(words)
