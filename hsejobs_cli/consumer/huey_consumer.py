"""``huey_consumer`` for the supervisor: an application that cannot be imported is one line, no traceback.

Called as Huey's own command is: ``python -m hsejobs_cli.consumer.huey_consumer huey_config.email``.
"""

from __future__ import annotations

import sys

#: Exit status that tells the supervisor not to start it again: EX_CONFIG of sysexits.h.
BROKEN = 78


def main() -> None:
    """Imports the application, then hands over to Huey."""
    from hsejobs.application import load
    from hsejobs.errors import SettingsError

    try:
        load(sys.argv[1].rpartition(".")[0])
    except SettingsError as error:
        sys.stderr.write(f"error: {error} ({error.code})\n")
        sys.exit(BROKEN)
    from huey.bin.huey_consumer import consumer_main

    consumer_main()


if __name__ == "__main__":
    main()
