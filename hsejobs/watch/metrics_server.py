"""Serves /metrics from a consumer, for installations whose workers run apart from the HTTP shim.

Consumers on one machine share the port: one of them serves all queues, and when it ends, another one
takes over.
"""

from __future__ import annotations

import hmac
import logging
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from hsejobs.errors import JobsError, RedisUnavailable
from hsejobs.settings import Settings
from hsejobs.store import registry
from hsejobs.store.client import RedisClient
from hsejobs.watch import logs, metrics

#: Seconds between two attempts to take over the port; seconds that a request may take to arrive.
TAKE_OVER, ARRIVAL = 5.0, 10.0


class MetricsServer:
    """The thread that serves the metrics; nothing without ``JOBS_WORKER_METRICS_PORT``."""

    def __init__(self, client: RedisClient, settings: Settings, queue: str) -> None:
        self.redis, self.settings, self._queue = client, settings, queue
        self._end = threading.Event()

    def start(self) -> None:
        if self.settings.worker_metrics_port is not None:
            threading.Thread(target=self._run, name="metrics", daemon=True).start()

    def stop(self) -> None:
        """Ends the thread, which closes the port within a second; returns at once."""
        self._end.set()

    def _run(self) -> None:
        address = (self.settings.worker_metrics_host, self.settings.worker_metrics_port or 0)
        told = False
        while not self._end.is_set():
            try:
                server = _Server(address, self._handler())
            except OSError as error:
                if not told:
                    # Another consumer serves them, or the address is wrong: an operator can tell.
                    text = error.strerror or str(error)
                    logs.emit("metrics not served", queue=self._queue, error=text)
                told = True
                self._end.wait(TAKE_OVER)
                continue
            port = server.server_address[1]
            logs.emit("metrics served", queue=self._queue, host=address[0], port=port)
            while not self._end.is_set():
                server.handle_request()
            server.server_close()

    def render(self) -> str:
        """The text. Raises RedisUnavailable."""
        prefix = self.settings.redis_prefix
        names = registry.names(self.redis, prefix)
        return "\n".join(metrics.lines(self.redis, prefix, names)) + "\n"

    def answer(self, path: str, authorization: str) -> tuple[int, str]:
        """The status and the text for a request."""
        if path.partition("?")[0] != "/metrics":
            return 404, "there is nothing at this path: see /metrics\n"
        token = self.settings.metrics_token
        if token is not None:
            given = authorization.removeprefix("Bearer ").encode("utf-8", "surrogateescape")
            if not hmac.compare_digest(given, token.encode("utf-8", "surrogateescape")):
                return 401, "this needs JOBS_METRICS_TOKEN as a bearer token\n"
        try:
            return 200, self.render()
        except RedisUnavailable as error:
            return 503, f"{error}\n"
        except JobsError as error:
            logs.emit("metrics failed", logging.ERROR, queue=self._queue, error=str(error))
            return 500, "the metrics could not be read: see the log\n"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answer = self.answer

        class Handler(BaseHTTPRequestHandler):
            timeout = ARRIVAL

            def do_GET(self) -> None:
                status, text = answer(self.path, self.headers.get("Authorization", ""))
                body = text.encode()
                kind = metrics.CONTENT_TYPE if status == 200 else "text/plain; charset=utf-8"
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                if status == 401:
                    self.send_header("WWW-Authenticate", "Bearer")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Scrapes are not logged."""

        return Handler


class _Server(HTTPServer):
    """One request at a time: scrapes are few, and each thread would have a connection to Redis."""

    #: Seconds after which `handle_request` returns without a request.
    timeout = 0.5

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that went away is no error of ours."""
