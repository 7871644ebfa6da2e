"""``huey_consumer`` for the supervisor: an application that cannot be imported gives one line, no traceback.

Takes Huey's own arguments: ``python -m hsejobs_cli.consumer.huey_consumer huey_config.email``.
"""

from __future__ import annotations

import sys

#: Exit status that tells the supervisor not to restart the consumer: EX_CONFIG of sysexits.h.
BROKEN = 78


def main() -> None:
    """Imports the application, then runs Huey's consumer."""
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
