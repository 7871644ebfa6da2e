"""What stands in the place of what was not read: that it is read, or why Redis does not tell."""

from __future__ import annotations

READING = "reading ..."
#: Why nothing is read, by whether Redis has answered with a refusal.
UNREACHED = {False: "Redis cannot be reached", True: "Redis refuses to answer"}
#: Why something is not read although Redis answers other calls.
LATE = "Redis does not answer in time"


def unread(why: str) -> str:
    """The words for a figure, a list or a screen not read yet. ``why``: it does not come; '' if it does."""
    return f"not read: {why}" if why else READING
