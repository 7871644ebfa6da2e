"""``huey_consumer`` for the supervisor: an application that cannot be imported gives one line, no traceback.

Takes Huey's own arguments: ``python -m hsejobs_cli.consumer.huey_consumer huey_config.email``.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

# Not where it is needed: a signal may arrive while a module is imported.
from hsejobs import pulse
from hsejobs.garbage import not_sought

#: Exit status that tells the supervisor not to restart the consumer: EX_CONFIG of sysexits.h.
BROKEN = 78


def main() -> None:
    """Imports the application, then runs Huey's consumer."""
    _listen()
    with not_sought(stays=True):
        from hsejobs.application import load
        from hsejobs.errors import SettingsError

        try:
            load(sys.argv[1].rpartition(".")[0])
        except SettingsError as error:
            sys.stderr.write(f"error: {error} ({error.code})\n")
            sys.exit(BROKEN)
        # The consumer's own modules are imported when it is made, after the application's.
        from huey.bin.huey_consumer import consumer_main

        import hsejobs.engine.consumer  # noqa: F401

    consumer_main()


def _listen() -> None:
    """Obeys signals while the application is imported; a restarted consumer begins with them blocked.

    No job is held yet, so SIGTERM and SIGINT end the process at once, and SIGHUP begins again.
    """
    stops = (signal.SIGINT, signal.SIGTERM)
    for signum in stops:
        signal.signal(signum, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, _begin_again)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (*stops, signal.SIGHUP))


def _begin_again(signum: int, frame: Any) -> None:
    pulse.hand_over()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606


if __name__ == "__main__":
    main()
