"""The family of a job as a tree: where it began, down to what it added."""

from __future__ import annotations

from dataclasses import dataclass

from hsejobs.errors import JobNotFound
from hsejobs.model import JobRecord
from hsejobs_tui.core.source import LiveSource

#: Jobs of a tree, and generations below its first.
MOST, DEEPEST = 60, 6


@dataclass(frozen=True, slots=True)
class Node:
    """One job of a family. ``status`` None: it was removed. ``more``: children that are not shown."""

    queue: str
    id: str
    depth: int
    name: str = ""
    status: str | None = None
    at: int = 0
    own: bool = False
    more: int = 0


def read(source: LiveSource, queue: str, job_id: str) -> list[Node]:
    """The tree, parents before children; empty for a job without relatives. Blocks.

    Takes one round trip for each job with children. Raises JobNotFound.
    """
    own = source.family(queue, job_id)
    if own.job.parent is None and not own.children:
        return []
    first: list[Node] = []
    top: JobRecord = own.job
    if own.root is not None:
        top = own.root
    elif own.parent is not None:
        top = own.parent
    for one in dict.fromkeys((own.job.root, own.job.parent)):
        gone = one is not None and (one.queue, one.id) != (top.queue, top.id)
        if one is not None and gone and not (own.parent and own.parent.id == one.id):
            first.append(Node(one.queue, one.id, 0))
    nodes = [*first, *_below(source, top, int(bool(first)), (queue, job_id), [MOST])]
    if not any(one.own for one in nodes):
        nodes.append(_node(own.job, 1, (queue, job_id), 0))
    return nodes


def _below(
    source: LiveSource, job: JobRecord, depth: int, own: tuple[str, str], left: list[int]
) -> list[Node]:
    left[0] -= 1
    if depth >= DEEPEST or left[0] <= 0:
        return [_node(job, depth, own, 0)]
    try:
        family = source.family(job.queue, job.id)
    except JobNotFound:
        return [_node(job, depth, own, 0)]
    below: list[Node] = []
    shown = 0
    for child in family.children:
        if left[0] <= 0:
            break
        shown += 1
        below += _below(source, child, depth + 1, own, left)
    return [_node(job, depth, own, max(0, family.total - shown)), *below]


def _node(job: JobRecord, depth: int, own: tuple[str, str], more: int) -> Node:
    return Node(
        job.queue,
        job.id,
        depth,
        job.name.rpartition(".")[2],
        str(job.status),
        job.created_at,
        (job.queue, job.id) == own,
        more,
    )
