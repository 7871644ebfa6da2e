"""A private S3 server (moto) on a free port, and access to its bucket."""

from __future__ import annotations

import logging
import urllib.request
from dataclasses import dataclass
from urllib.parse import quote

BUCKET = "kept"


@dataclass
class S3:
    """The server; ``env`` directs obstore and botocore to it."""

    endpoint: str

    @property
    def env(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.endpoint,
        }

    def empty(self) -> None:
        """Deletes all objects of all buckets."""
        self._call("POST", "/moto-api/reset")
        self._call("PUT", f"/{BUCKET}")

    def put(self, name: str, data: bytes) -> None:
        self._call("PUT", f"/{BUCKET}/{quote(name)}", data)

    def _call(self, method: str, path: str, data: bytes | None = None) -> bytes:
        request = urllib.request.Request(self.endpoint + path, data, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
            body: bytes = answer.read()
        return body


class S3Server:
    """Runs moto's server in a thread of this process."""

    def __enter__(self) -> S3:
        from moto.server import ThreadedMotoServer

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        return S3(f"http://{host}:{port}")

    def __exit__(self, *_: object) -> None:
        self._server.stop()
