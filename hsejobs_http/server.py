"""Runs the shim under uvicorn."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket

from hsejobs.errors import SettingsError
from hsejobs.garbage import not_sought
from hsejobs.settings import Settings
from hsejobs_http.connections import raise_file_limit
from hsejobs_http.tokens import TokenVerifier
from hsejobs_http.viewing import MESSAGE_LIMIT

BACKLOG = 2048


def open_listener(settings: Settings) -> socket.socket:
    """Opens the listening socket. Raises SettingsError if that is not possible."""
    host, port = settings.http_host, settings.http_port
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise SettingsError("JOBS_HTTP_HOST", "must be a known host name or an address") from None
    family, kind, protocol, _, address = found[0]
    opened = socket.socket(family, kind, protocol)
    try:
        # Connections of the last server in TIME_WAIT do not block the port; a running server does.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen(BACKLOG)
    except OSError as error:
        opened.close()
        raise _listen_error(error, port) from None
    opened.set_inheritable(True)
    return opened


def _listen_error(error: OSError, port: int) -> SettingsError:
    if error.errno == errno.EADDRINUSE:
        problem = f"port {port} is in use by another program: stop it, or set another port"
        return SettingsError("JOBS_HTTP_PORT", f"{problem} (0 chooses a free one)")
    if error.errno == errno.EACCES:
        problem = f"port {port} needs more rights than this user has; set one of 1024 or above"
        return SettingsError("JOBS_HTTP_PORT", problem)
    return SettingsError("JOBS_HTTP_HOST", "must be an address of this machine")


def free_port(settings: Settings) -> int:
    """Returns a port on which a shim can start now. Raises SettingsError if the port is taken."""
    with open_listener(settings) as probe:
        return int(probe.getsockname()[1])


def serve(settings: Settings, workers: int = 1) -> None:
    """Runs until SIGINT or SIGTERM; answers the requests it has received first.

    Raises SettingsError, also when there is no key for tokens.
    """
    TokenVerifier(settings)
    # The application itself leaves what was imported out of later searches, when it is complete.
    with not_sought():
        import uvicorn
        from uvicorn.supervisors import Multiprocess

        from hsejobs_http.wire import Wire

        if workers == 1:
            # What uvicorn would import; workers are processes of their own.
            import hsejobs_http.app  # noqa: F401

    raise_file_limit(settings)
    config = uvicorn.Config(
        "hsejobs_http.app:create_app",
        factory=True,
        workers=workers,
        http=Wire,
        ws="websockets-sansio",
        ws_max_size=MESSAGE_LIMIT,
        lifespan="on",
        access_log=False,
        server_header=False,
        # The gate finds the caller's address, and the wire closes idle connections.
        proxy_headers=False,
        timeout_graceful_shutdown=max(1, settings.shutdown_grace_ms // 1000),
        log_config=None,
    )
    with open_listener(settings) as listener:
        # uvicorn sends itself the signal again when all is answered: that is not a failure.
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, lambda *_: None)
        with contextlib.suppress(KeyboardInterrupt):
            if workers == 1:
                uvicorn.Server(config).run(sockets=[listener])
                return
            # Lets the workers end by themselves when this parent is killed.
            os.environ["HSEJOBS_PARENT_PID"] = str(os.getpid())
            Multiprocess(config, [listener]).run()
