"""Runs the shim under uvicorn."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket

from hsejobs.errors import SettingsError
from hsejobs.settings import Settings
from hsejobs_http.doors import widen
from hsejobs_http.tokens import TokenVerifier
from hsejobs_http.viewing import MESSAGE_LIMIT

BACKLOG = 2048


def listening(settings: Settings) -> socket.socket:
    """The socket that requests come to. Raises SettingsError when it cannot be had."""
    host, port = settings.http_host, settings.http_port
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise SettingsError("JOBS_HTTP_HOST", "no address is known for this name") from None
    family, kind, protocol, _, address = found[0]
    made = socket.socket(family, kind, protocol)
    try:
        # What the last server left in TIME_WAIT does not hold the port; a server that lives does.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise _why(error, port) from None
    made.set_inheritable(True)
    return made


def _why(error: OSError, port: int) -> SettingsError:
    if error.errno == errno.EADDRINUSE:
        told = f"port {port} is taken by another program: end that, or set another port"
        return SettingsError("JOBS_HTTP_PORT", f"{told} (0 takes a free one)")
    if error.errno == errno.EACCES:
        told = f"port {port} needs more rights than this user has; take one of 1024 or above"
        return SettingsError("JOBS_HTTP_PORT", told)
    return SettingsError("JOBS_HTTP_HOST", "this machine has no such address to listen on")


def free_port(settings: Settings) -> int:
    """The port on which a shim can be started now. Raises SettingsError when it is taken."""
    with listening(settings) as probe:
        return int(probe.getsockname()[1])


def serve(settings: Settings, workers: int = 1) -> None:
    """Until SIGINT or SIGTERM; requests that came are answered first.

    Raises SettingsError, also when there is no key for tokens.
    """
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    from hsejobs_http.wire import Wire

    TokenVerifier(settings)
    widen(settings)
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
        # The gate finds the caller's address, the wire ends what is idle: this is its backstop.
        proxy_headers=False,
        timeout_keep_alive=settings.http_idle_timeout_ms // 1000 + 2,
        timeout_graceful_shutdown=max(1, settings.shutdown_grace_ms // 1000),
        log_config=None,
    )
    with listening(settings) as door:
        # uvicorn sends itself the signal again when all is answered: that is no failure.
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, lambda *_: None)
        with contextlib.suppress(KeyboardInterrupt):
            if workers == 1:
                uvicorn.Server(config).run(sockets=[door])
                return
            # The workers of a killed parent end by themselves.
            os.environ["HSEJOBS_PARENT_PID"] = str(os.getpid())
            Multiprocess(config, [door]).run()
