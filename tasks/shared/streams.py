"""Rows on their way into a file: as JSON, and written while the next ones are read."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from hsejobs import codec

#: Pieces that wait to be written; with the one at work they are what a slow file holds in memory.
_AHEAD = 3


def json_rows(rows: Iterable[dict[str, Any]]) -> bytes:
    """Rows as JSON objects, a line each, with commas between them.

    Values are text, numbers that are finite, true, false or null.
    """
    return b",\n".join([_json(row) for row in rows])


def _json(row: dict[str, Any]) -> bytes:
    try:
        # Three times as fast as Python's own.
        return to_json(row)
    except (PydanticSerializationError, UnicodeEncodeError):
        # Half a character, which a database may hold, is no UTF-8.
        return codec.dumps(row)


@contextmanager
def behind(write: Callable[[bytes], Any]) -> Iterator[Callable[[bytes], None]]:
    """Gives a function that has *write* called with pieces, in order, in a thread of its own.

    Hashing, compressing and storing leave Python's lock free, so that the next rows are read
    meanwhile. What *write* raises, the next call or the end of the block raises. When the block
    ends, well or not, nothing is being written any more.
    """
    waiting: deque[Future[Any]] = deque()
    broken = False

    def take(piece: bytes) -> None:
        nonlocal broken
        # After a piece that failed the next one would stand in the wrong place.
        if broken:
            return
        broken = True
        write(piece)
        broken = False

    # Its end waits for the thread, and cancels what had not begun when the block was broken off.
    pool = ThreadPoolExecutor(1, thread_name_prefix="behind")

    def put(piece: bytes) -> None:
        waiting.append(pool.submit(take, piece))
        while len(waiting) > _AHEAD:
            waiting.popleft().result()

    try:
        yield put
        while waiting:
            waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
