"""What a consumer is asked is for that consumer alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from hsejobs import codec
from hsejobs.control import consumers
from hsejobs.store import keys

if TYPE_CHECKING:
    from tests.control.test_binding import Stage


def order(stage: Stage, name: str) -> None:
    """The consumer has ended, and another one has begun in its place."""
    living = codec.dumps({"id": "new", "queue": "q", "host": "h", "state": "running"})
    older = codec.dumps({"id": "older", "queue": "q", "host": "h"})
    stage.work.heartbeat("new", living, 60_000)
    stage.work.heartbeat("older", older, 60_000)
    done = consumers.order(stage.acts, name, [("q", one) for one in ("ended", "older", "new")])
    assert [bool(one.why) for one in done] == [True, True, False]
    base = keys.base("t", "q")
    found = [stage.redis.command("GET", f"{base}wo:{one.id}") for one in done]
    assert found == [None, None, name.encode()]
    # It is for this consumer alone, and ends with it.
    assert stage.work.heartbeat("new", living, 60_000).order == name
    assert stage.work.heartbeat("another", living, 60_000).order == ""
    stage.work.heartbeat("new", b"", 60_000)
    assert stage.work.heartbeat("new", living, 60_000).order == ""
    for one in ("new", "older", "another"):
        stage.work.heartbeat(one, b"", 60_000)


#: What binds each of the acts.
ORDERINGS: dict[str, tuple[Callable[[Stage], None], ...]] = {
    f"workers {name}": (partial(order, name=name),) for name in consumers.ORDERS
}
