"""Acts on living consumers: they become quiet, are woken, or restart; one of them, or all of a host.

A quiet consumer finishes what it runs and claims nothing more, until it is woken or ends: then its
successor is not quiet. One that restarts does the same, and then ends and comes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from hsejobs.control.acts import Acts
from hsejobs.errors import InvalidOption, UnknownWorker
from hsejobs.model import new_job_id
from hsejobs.store.keys import DEAD_MS

#: What consumers can be asked for.
ORDERS = ("quiet", "wake", "restart")
#: Why a consumer was not asked, by the reply of `JobWriter.order`.
_WHY = {
    0: "it is not alive any more",
    -1: "it runs a release that cannot be asked; stop its process instead",
}


class Ordered(NamedTuple):
    """What became of one consumer. ``why``: why it was not asked; '' if it was."""

    id: str
    queue: str
    why: str = ""


def choose(
    found: Sequence[Mapping[str, Any]], ids: Sequence[str] = (), host: str | None = None
) -> list[tuple[str, str]]:
    """The consumers with these ids, or all of a host, as (queue, id); ``found``: the living ones.

    Raises InvalidOption unless exactly one of the two is given, and UnknownWorker for an id or a host
    that is not among them: nothing is done then.
    """
    if bool(ids) == bool(host):
        raise InvalidOption("host", "must be given, or ids of consumers; and not both")
    if host:
        chosen = [(str(one["queue"]), str(one["id"])) for one in found if one.get("host") == host]
        if not chosen:
            raise UnknownWorker(f"no living consumer is on the host {host!r}")
        return chosen
    queues = {str(one["id"]): str(one["queue"]) for one in found}
    for worker in ids:
        if worker not in queues:
            raise UnknownWorker(f"there is no living consumer {worker!r}: it may have ended")
    return [(queues[worker], worker) for worker in dict.fromkeys(ids)]


def order(acts: Acts, order: str, chosen: Iterable[tuple[str, str]]) -> list[Ordered]:
    """Asks these consumers, as (queue, id), for ``quiet``, ``wake`` or ``restart``.

    Each queue's entry in the audit log names its consumers. Raises Forbidden, Refused, InvalidOption.
    """
    if order not in ORDERS:
        raise InvalidOption("order", f"must be one of {', '.join(ORDERS)}")
    act = f"workers {order}"
    writer = acts.check(act)
    queues: dict[str, list[str]] = {}
    for queue, worker in chosen:
        queues.setdefault(queue, []).append(worker)
    done = []
    together = new_job_id() if len(queues) > 1 else ""
    for queue, workers in queues.items():
        where = f"worker={' '.join(workers)}"
        with acts.recorded(act, queue, where=where, together=together) as record:
            replies = writer.order(queue, order, workers, entry=record.packed)
        done += [
            Ordered(worker, queue, _WHY.get(reply, ""))
            for worker, reply in zip(workers, replies, strict=True)
        ]
    return done


def without_others(
    found: Sequence[Mapping[str, Any]], chosen: Iterable[tuple[str, str]]
) -> list[str]:
    """The queues of which no other consumer claims jobs, sorted: theirs wait meanwhile."""
    meant = list(chosen)
    ids = {worker for _, worker in meant}
    others = {str(one["queue"]) for one in found if one["id"] not in ids and claims(one)}
    return sorted({queue for queue, _ in meant} - others)


def claims(worker: Mapping[str, Any]) -> bool:
    """Whether a consumer lives and claims jobs, by its heartbeat's record."""
    running = worker.get("state", "running") == "running"
    return running and int(worker.get("heartbeatAge", 0)) <= DEAD_MS


def report(order: str, done: Sequence[Ordered], alone: Sequence[str]) -> dict[str, Any]:
    """The object that the HTTP shim and ``--json`` return."""
    return {
        "act": order,
        "done": [{"id": one.id, "queue": one.queue} for one in done if not one.why],
        "refused": [{"id": one.id, "queue": one.queue, "why": one.why} for one in done if one.why],
        "alone": list(alone),
    }
