"""The TUI in a browser: started by the HTTP shim for one user, with the rights of the token.

It communicates through pipes (Textual's web driver) and ends when the shim, the
connection or the token ends.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace

from hsejobs_tui.core.options import DashboardUser, Options, load

#: A JSON object: ``userId, role, organizationId, sealed, theme, address, expires`` (s since the epoch),
#: ``parent``.
VARIABLE = "HSEJOBS_VIEW"
#: Shown in a browser instead of the Redis address.
PLACE = "hsejobs"


def main() -> None:
    """Runs until the connection, the token or the shim ends."""
    from hsejobs_tui.start import run

    view = json.loads(os.environ.pop(VARIABLE))
    parent, expires = int(view["parent"]), float(view["expires"])
    run(
        options_for(view),
        ended=lambda: os.getppid() != parent or time.time() >= expires,
        address=str(view["address"]),
    )


def options_for(view: dict[str, object]) -> Options:
    """The options of a session. A member sees the contents of its own jobs only."""
    viewer = DashboardUser(str(view["userId"]), str(view["role"]))
    org = view["organizationId"]
    made = load(org=None if org is None else str(org))
    return replace(
        made,
        viewer=viewer,
        place=PLACE,
        sealed=bool(view["sealed"]),
        ascii_only=False,
        theme="light" if view.get("theme") == "light" else "dark",
    )


if __name__ == "__main__":
    main()
