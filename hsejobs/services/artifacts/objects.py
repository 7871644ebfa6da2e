"""Object stores as a place for artifacts, through obstore."""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Iterator, Sequence
from typing import Any

from hsejobs.errors import ArtifactsUnavailable, SettingsError
from hsejobs.extras import importing
from hsejobs.services.artifacts.shelf import ShelfEntry

#: Seconds: one request, and one file with all its repeats.
REQUEST, ALTOGETHER = 30, 60

_used = False
_broken = False


def _after_fork() -> None:
    global _broken
    _broken = _used


# obstore's threads do not live on in a forked child, where any call of it would then hang. Only
# a parent that used it itself has such threads; our consumers' parents do not.
os.register_at_fork(after_in_child=_after_fork)


class Objects:
    """A bucket, or a folder in it. Credentials, region and endpoint are in the environment."""

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
                problem = "no object store can be reached by it"
            raise SettingsError(
                "ARTIFACTS_URL", f"{problem}; check bucket, credentials and endpoint"
            ) from None

    def put(self, name: str, data: bytes) -> None:
        """One request: an object store shows an object when it has it whole."""
        import obstore

        # Not in parts of the store's own: what a crash leaves of those, no listing shows.
        with _told("written"):
            obstore.put(self._store, name, data, use_multipart=False)

    def get(self, name: str) -> bytes | None:
        """The object's bytes."""
        import obstore

        with _told("read"):
            try:
                return bytes(obstore.get(self._store, name).bytes())
            except FileNotFoundError:
                return None

    def remove(self, names: Sequence[str]) -> None:
        """In as few requests as the store knows."""
        import obstore

        with _told("removed"):
            try:
                obstore.delete(self._store, list(names))
            except FileNotFoundError:
                # GCS and Azure stop at what is gone already.
                for name in names:
                    with contextlib.suppress(FileNotFoundError):
                        obstore.delete(self._store, name)

    def forget(self, folder: str) -> None:
        """Nothing: an object store has no folders."""

    def entries(self, folder: str | None = None) -> Iterator[ShelfEntry]:
        """Every object, a page a request; S3, GCS and Azure list by name."""
        import obstore

        with _told("listed"):
            for page in obstore.list(self._store, prefix=folder, chunk_size=1000):
                for item in page:
                    yield ShelfEntry(item["path"], item["last_modified"].timestamp())

    def lock(self, folder: str) -> contextlib.nullcontext[None]:
        """Nothing: an object store has no lock.

        So a removal that meets a replacement in the same instant may take the new one away;
        its job's next attempt, or a retry by hand, makes it again.
        """
        return contextlib.nullcontext()


def _plain_endpoint() -> bool:
    names = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT")
    return any(os.environ.get(name, "").lower().startswith("http://") for name in names)


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """Turns obstore's errors into ours, which repeat nothing of URL, request or answer."""
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
            "FileNotFoundError": "there is no such bucket",
        }.get(type(error).__name__, "the store does not answer as it should")
        raise ArtifactsUnavailable(
            f"artifacts cannot be {what}: {kind}; check ARTIFACTS_URL and its credentials"
        ) from None
