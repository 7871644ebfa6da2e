"""Store artifacts in an object store, through obstore."""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Iterator, Sequence
from typing import Any

from hsejobs.errors import ArtifactsUnavailable, SettingsError
from hsejobs.extras import importing
from hsejobs.services.artifacts.shelf import ShelfEntry

#: Seconds for one request, and for one file including retries.
REQUEST, ALTOGETHER = 30, 60

_used = False
_broken = False


def _after_fork() -> None:
    global _broken
    _broken = _used


# obstore's threads do not exist in a forked child, where every call would hang. Only a parent
# that has used obstore has such threads; the consumers' parents have not.
os.register_at_fork(after_in_child=_after_fork)


class Objects:
    """A bucket, or a folder in it. Credentials, region and endpoint come from the environment."""

    def __init__(self, url: str) -> None:
        with importing():
            from obstore.exceptions import BaseError
            from obstore.store import from_url

        options: Any = {
            "timeout": f"{REQUEST}s",
            "connect_timeout": "5s",
            "allow_http": _plain_endpoint(),
        }
        retry: Any = {"max_retries": 5, "retry_timeout": datetime.timedelta(seconds=ALTOGETHER)}
        try:
            self._store: Any = from_url(url, client_options=options, retry_config=retry)
        except (BaseError, ValueError) as error:
            problem = str(error).partition("\n")[0].rpartition("error: ")[2]
            # Some messages repeat the URL.
            if not problem or "://" in problem or url.partition("://")[2] in problem:
                problem = "is not the URL of a supported object store"
            raise SettingsError(
                "ARTIFACTS_URL", f"{problem}; check bucket, credentials and endpoint"
            ) from None

    def put(self, name: str, data: bytes) -> None:
        """Write an object in one request: an object store never shows a partial object."""
        import obstore

        # No multipart upload: listings do not show the parts that a crash leaves.
        with _translate_errors("written"):
            obstore.put(self._store, name, data, use_multipart=False)

    def get(self, name: str) -> bytes | None:
        """Return an object's content; None if there is no such object."""
        import obstore

        with _translate_errors("read"):
            try:
                return bytes(obstore.get(self._store, name).bytes())
            except FileNotFoundError:
                return None

    def remove(self, names: Sequence[str]) -> None:
        """Remove objects in as few requests as the store supports."""
        import obstore

        with _translate_errors("removed"):
            try:
                obstore.delete(self._store, list(names))
            except FileNotFoundError:
                # GCS and Azure stop at an object that does not exist.
                for name in names:
                    with contextlib.suppress(FileNotFoundError):
                        obstore.delete(self._store, name)

    def forget(self, folder: str) -> None:
        """Do nothing: an object store has no folders."""

    def entries(self, folder: str | None = None) -> Iterator[ShelfEntry]:
        """Yield all objects, one request per page; S3, GCS and Azure sort them by name."""
        import obstore

        with _translate_errors("listed"):
            for page in obstore.list(self._store, prefix=folder, chunk_size=1000):
                for item in page:
                    yield ShelfEntry(item["path"], item["last_modified"].timestamp())

    def lock(self, folder: str) -> contextlib.nullcontext[None]:
        """Do nothing: an object store has no locks.

        So a removal that coincides with a replacement may remove the new version; the job's next
        attempt, or a manual retry, makes it again.
        """
        return contextlib.nullcontext()


def _plain_endpoint() -> bool:
    names = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT")
    return any(os.environ.get(name, "").lower().startswith("http://") for name in names)


@contextlib.contextmanager
def _translate_errors(what: str) -> Iterator[None]:
    """Convert obstore's errors to ours, which never repeat the URL, request or response."""
    global _used
    from obstore.exceptions import BaseError

    if _broken:
        raise ArtifactsUnavailable("the artifact store was used before this process was forked")
    _used = True
    try:
        yield
    except (BaseError, OSError) as error:
        kind = {
            "PermissionDeniedError": "permission denied",
            "UnauthenticatedError": "the credentials are not accepted",
            "FileNotFoundError": "the bucket does not exist",
        }.get(type(error).__name__, "the store failed to respond correctly")
        raise ArtifactsUnavailable(
            f"artifacts cannot be {what}: {kind}; check ARTIFACTS_URL and its credentials"
        ) from None
