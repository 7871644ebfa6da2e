"""The number of the format of the records in Redis, and its check when a program first uses Redis.

A release works with the format of the release before it, too. The number is raised by an act of an
operator only, once no program runs any more that does not know the new format.
"""

from __future__ import annotations

from hsejobs.errors import UnknownFormat

#: The format that this release writes; it is that of 0.1.0, which wrote no number.
FORMAT = 1
#: Seconds after which a Cluster is asked again for the number, if its node did not answer.
PAUSE = 30.0


def check(stored: bytes | None) -> None:
    """Raises UnknownFormat if this release cannot work with the records; ``stored``: their number."""
    if stored is None or stored == str(FORMAT).encode():
        return
    shown = stored.decode("ascii", "replace")[:20]
    if not shown.isdigit():
        shown = "unknown"
    raise UnknownFormat(
        "QUEUE_REDIS_URL",
        f"the jobs there are stored in format {shown}, and this release works with format {FORMAT}"
        " only; install the release that the other programs run. Nothing was changed",
    )
