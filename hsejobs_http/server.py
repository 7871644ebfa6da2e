"""Runs the shim under uvicorn."""

from __future__ import annotations

from hsejobs.settings import Settings
from hsejobs_http.tokens import Verifier


def serve(settings: Settings, workers: int = 1) -> None:
    """Until SIGINT or SIGTERM; requests that came are answered first.

    Raises SettingsError, also when there is no key for tokens.
    """
    import uvicorn

    Verifier(settings)
    uvicorn.run(
        "hsejobs_http.app:create_app",
        factory=True,
        host=settings.http_host,
        port=settings.http_port,
        workers=workers,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=max(1, settings.shutdown_grace_ms // 1000),
        log_config=None,
    )
